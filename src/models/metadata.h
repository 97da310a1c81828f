// What the architectures share in reading metadata: ranges are checked, so that what follows can trust
// the numbers, and behaviours that no code here implements are refused by key.
// Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gguf/file.h"
#include "models/architecture.h"
#include "models/spec.h"

namespace hearth::models {

// Keys of one architecture: "attention.head_count" stands for "llama.attention.head_count".
class Metadata {
 public:
  explicit Metadata(const gguf::File& file)
      : file_(file), prefix_(std::string(file.string_or("general.architecture", "")) + ".") {}

  const gguf::File& file() const { return file_; }
  // Counts as asked for.
  std::string name(std::string_view key) const {
    asked_.emplace(key);
    return prefix_ + std::string(key);
  }
  // Also under the name that Ollama's own converter gives it.
  const gguf::Value* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // A count from `least` to `most`. An array of equal numbers (one per layer) counts as that number;
  // one of different numbers is kUnsupported. Absent: kInvalidData, or the fallback unchecked.
  Result<uint32_t> count(std::string_view key, uint32_t least, uint32_t most) const;
  Result<uint32_t> count_or(std::string_view key, uint32_t fallback, uint32_t least, uint32_t most) const;

  // The largest of counts that may differ from layer to layer, 0 where a layer has none of it.
  Result<uint32_t> largest(std::string_view key, uint32_t most) const;
  // kUnsupported if such counts differ otherwise than by being 0.
  Status refuse_different(std::string_view key) const;
  // Of a key that is one number or one for each layer: the number of this layer.
  uint64_t of_layer(std::string_view key, uint32_t layer, uint64_t fallback) const;

  // Likewise a number that need not be whole; NaN for what is none.
  float number_of_layer(std::string_view key, uint32_t layer, float fallback) const;

  // A finite number from `least` to `most`.
  Result<float> number(std::string_view key, double least, double most) const;
  Result<float> number_or(std::string_view key, float fallback, double least, double most) const;

  bool flag_or(std::string_view key, bool fallback) const;

  Error invalid(std::string_view key, const std::string& why) const;

  // kUnsupported, by name, if the file has a key of the architecture that was never asked for, is not 0 or false, and
  // is not known to leave the text model's results alone.
  Status refuse_unknown(const Spec& spec) const;

 private:
  const gguf::File& file_;
  std::string prefix_;
  mutable std::set<std::string, std::less<>> asked_;
};

// Largest values that are accepted; far above any model, small enough that no product overflows.
inline constexpr uint32_t kMost_layers = 4096, kMost_heads = 1 << 14, kMost_head = 1 << 13, kMost_width = 1 << 24,
                          kMost_experts = 1 << 16, kMost_context = 1u << 31;

// Everything but the norm's epsilon, the ropes and what an architecture does in its own way: sizes,
// experts, attention scale 1/sqrt(key_dim), soft caps, one LayerSpec per layer. Keys that ask for an unusual behaviour
// are refused, but for those that the architecture itself understands; counts among these may differ from layer to
// layer, or be 0.
Result<Spec> read_sizes(const Metadata& keys, std::initializer_list<std::string_view> understood = {});

// How experts are chosen and weighed, and the one that all tokens use, for architectures that understand
// expert_shared_count, expert_group_used_count and expert_gating_func. `normalise`: where expert_weights_norm is
// missing.
Status read_routing(const Metadata& keys, bool normalise, Spec* spec);

// Blocks at the end that predict the tokens after the next (nextn_predict_layers) take no part.
Status leave_out_predictors(const Metadata& keys, Spec* spec);

// The kind of all norms, and their epsilon.
Status read_rms_norm(const Metadata& keys, Spec* spec);
Status read_layer_norm(const Metadata& keys, Spec* spec);

// Every fourth layer sees everything and has no rope; the others have the window (0: none).
void open_every_fourth(uint32_t window, Spec* spec);

// Sets the window of attention.sliding_window, or `fallback`, on every layer.
Status read_window(const Metadata& keys, uint32_t fallback, Spec* spec);

}  // namespace hearth::models
