// Models from one store of this machine to another, while servers run: copied and checked, found in the new place from
// then on, and only then deleted in the old one. Who reads the old files goes on: their space comes back with the last
// reader.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/tiers.h"

namespace hearth::store {

struct Moved {
  std::string from;    // the store's name; the target's: nothing was to do
  uint64_t bytes = 0;  // that were copied
};
// `progress` (may be empty) gets each file's bytes; an error of it ends the work before anything was deleted. Errors:
// kUsage (no name), kNotFound, kNoSpace; kInvalidData: a file is damaged; kIo: also where the old store cannot be
// written: then the model is in both.
Result<Moved> move_model(const std::string& name, const Tier& to,
                         const std::function<Status(std::string_view file, uint64_t bytes)>& progress = {});

}  // namespace hearth::store
