// Rewrites a GGUF file with its weights in other formats.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/quantization_recipe.h"

namespace hearth::gguf {

struct QuantizeOptions {
  int threads = 1;
  // Called often, on the calling thread, with bytes of `total` that are read; an error ends the work.
  std::function<Status(uint64_t done, uint64_t total, std::string_view tensor)> progress = {};
};

struct QuantizeSummary {
  uint64_t bytes_before = 0, bytes_after = 0;     // of the files
  std::map<std::string, uint64_t> bytes_by_type;  // of the new file's tensors, by the format's name
  std::vector<std::string> notes;                 // each tensor that did not get what the recipe wanted, and why
};

// Writes `out`, which appears only when it is whole. Metadata is copied; split sets become one file. Memory:
// a few MB, and some rows per thread. Errors: those of File::open; kUsage (in and out are the same
// file), kUnsupported (a format that cannot be written), kInvalidData (a weight that is no finite number, or
// too large for F16: names the tensor), kIo (disk: checked before the start, names needed and available).
Result<QuantizeSummary> quantize_file(const std::string& in, const std::string& out, const QuantizationRecipe& recipe,
                                      const QuantizeOptions& options);

// Writes the files of a split set as one, with the weights as they are. Errors: those of quantize_file().
Result<QuantizeSummary> join_files(const std::string& first, const std::string& out, const QuantizeOptions& options);

}  // namespace hearth::gguf
