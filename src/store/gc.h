// Garbage in a store: blobs that no manifest names. Only files of the form of a blob's are ever touched, and none while
// a manifest cannot be read: it may name them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::store {

// A younger blob may belong to a pull, of another program too, whose manifest comes last.
inline constexpr int64_t kGarbage_age_s = 24 * 3600;

struct Garbage {
  std::vector<std::string> paths;
  uint64_t bytes = 0;        // that become free: none of a file that has another name elsewhere
  uint64_t young_bytes = 0;  // of what is too young yet
};
// Errors: kInvalidData, kIo, with the manifest that cannot be read.
Result<Garbage> find_garbage(const std::string& folder, int64_t older_than_s);
// Looks again, under the store's lock, and deletes; the bytes that became free. Errors: those of find_garbage().
Result<uint64_t> collect_garbage(const std::string& folder, int64_t older_than_s);

}  // namespace hearth::store
