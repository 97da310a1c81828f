// Takes models that other programs have put on this machine into the store, and makes equal files share their bytes.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/found_models.h"
#include "store/share_file.h"

namespace hearth::store {

// How a file would come into the store: what share_file() will most likely do. Errors: kIo.
Result<Share> likely_share(const std::string& from, const std::string& folder);

// Gets what is being read or written, bytes of `total`; an error ends the work.
using FileProgress = std::function<Status(std::string_view what, uint64_t done, uint64_t total)>;

// Under model.name, with links or shared extents where that goes. kSafetensors is for "hearth create": kUnsupported.
// A model of this name is replaced. Errors: those of share_file(), put_model() and `progress`; kInvalidData (no GGUF).
Result<Share> import_model(const FoundModel& model, const std::string& folder, const FileProgress& progress);

// A file whose bytes are those of another.
struct Duplicate {
  std::string keep, replace;
  uint64_t bytes = 0;    // that become free
  std::string obstacle;  // why it cannot be replaced; empty: it can
};
// Among the blobs of `folder` and `others`: by size, then by SHA-256. Files that share their bytes already are none.
// What cannot be read is left out. Errors: those of `progress`.
Result<std::vector<Duplicate>> find_duplicates(const std::string& folder, const std::vector<std::string>& others,
                                               const FileProgress& progress);
// Puts a link or a clone of `keep` in the place of `replace`, which has not changed since. Errors: kIo, kUnsupported.
Status replace_duplicate(const Duplicate& duplicate);

}  // namespace hearth::store
