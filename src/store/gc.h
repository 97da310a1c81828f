// Garbage in a store: blobs that no manifest names. Only files of the form of a blob's are ever touched, and none while
// something cannot be read that may name them.
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
  uint64_t bytes = 0;         // that become free: none that another name or file has too
  uint64_t shared_bytes = 0;  // of these files, that do not
  uint64_t young_bytes = 0;   // of what is too young yet
  uint64_t used_bytes = 0;    // of what a program has open: a model that is loaded
};
// Named are the blobs of all manifests of this store, and those of manifests of other stores that lack them there.
// Errors: kInvalidData, kIo, with the manifest that cannot be read; kNotFound: a pinned model has none.
Result<Garbage> find_garbage(const std::string& folder, int64_t older_than_s);
// Looks again, under the store's lock, and deletes; the bytes that became free. Errors: those of find_garbage(); kIo:
// something cannot be deleted.
Result<uint64_t> collect_garbage(const std::string& folder, int64_t older_than_s);

}  // namespace hearth::store
