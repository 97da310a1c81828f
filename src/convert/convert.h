// Makes a GGUF file of a folder of Hugging Face: config.json, weights as safetensors, tokenizer. As a stream: of the
// weights, some rows are in memory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gguf/quantization_recipe.h"

namespace hearth::convert {

struct ConvertOptions {
  // Unset: weights stay as they are (F32, F16, BF16; FP8 becomes BF16), and norms and the like are F32.
  std::optional<gguf::QuantizationRecipe> recipe;
  int threads = 1;
  // Called often, on the calling thread, with rows' bytes of `total` that are done; an error ends the work.
  std::function<Status(uint64_t done, uint64_t total, std::string_view tensor)> progress = {};
  // Called once, before anything is written, with the size of the file to be.
  std::function<Status(uint64_t bytes)> reserve = {};
};

struct ConvertSummary {
  std::string architecture;
  uint64_t bytes = 0;  // of the file
  std::vector<std::string> notes;
  // Sampling that the model's authors recommend (generation_config.json), by the names that options have.
  std::vector<std::pair<std::string, double>> parameters;
};

// Whether a folder holds what this reads: a config.json.
bool is_model_folder(const std::string& folder);

// Whether models with this config.json can be converted, as far as it tells; `name` is for messages. Errors:
// kUnsupported, kInvalidData.
Status check_config(std::string_view text, const std::string& name);

// Writes `out`, which appears only when it is whole. Errors: kNotFound (a file of the folder), kUnsupported (a class of
// models, a behaviour, a tensor; by name), kInvalidData, kIo, those of `progress` and `reserve`.
Result<ConvertSummary> convert_folder(const std::string& folder, const std::string& out, const ConvertOptions& options);

}  // namespace hearth::convert
