// What "hearth store ACTION" can do: one file in this folder defines one of these and registers it.
#pragma once

#include <string>
#include <vector>

#include "base/registry.h"
#include "base/result.h"

namespace hearth::cli {

// All that actions take; each uses what concerns it.
struct StoreOptions {
  std::vector<std::string> names;
  bool apply = false;
  std::string to;  // a store's name or folder
  bool all = false, dry_run = false, partial = false, repair = false;
};

struct StoreAction {
  const char* name;     // "import"
  const char* summary;  // of its line of the help page
  Status (*run)(const StoreOptions& options);
};
using RegisterStoreAction = Register<StoreAction>;

}  // namespace hearth::cli
