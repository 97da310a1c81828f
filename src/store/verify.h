// Whether the files of a store are what their names say: every blob is hashed anew.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::store {

struct Damage {
  std::string path, digest;
  std::string why;                  // "has another content", "is missing", "cannot be read: ..."
  std::vector<std::string> models;  // that use it
};
struct Verified {
  uint64_t files = 0, bytes = 0;
  std::vector<Damage> damages;
};
// All blobs that models of the folder use, and all others that lie there; several files at a time. `progress`, on the
// caller's thread, ends the work with an error.
Result<Verified> verify_store(const std::string& folder, int threads,
                              const std::function<Status(uint64_t done, uint64_t total)>& progress);

}  // namespace hearth::store
