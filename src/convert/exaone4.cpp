// EXAONE 4 (LG AI Research 2025): norms behind attention and feed-forward only, and on the heads of q and k.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

constexpr uint32_t kLayers_with_windows = 64;  // files do not say which layers have one: those of the 32B

Status add_windows(const Json& config, const Decoder& decoder, Plan& plan) {
  ASSIGN_OR_RETURN(const uint32_t window, config.count_or("sliding_window", 0, 0, 1u << 30));
  if (window == 0 && decoder.layers != kLayers_with_windows) return {};
  if (window == 0 || decoder.layers != kLayers_with_windows)
    return error(ErrorKind::kUnsupported,
                 "{}: sliding_window is {} with {} layers; supported are windows in the model "
                 "of {} layers only",
                 config.file(), window, decoder.layers, kLayers_with_windows);
  TRY(require_windows(config, decoder.layers, 4));
  plan.key("attention.sliding_window", window);
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder, read_decoder(config, {.context = 2048, .epsilon = 1e-5}, plan));
  TRY(add_windows(config, decoder, plan));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.q_norm = "q_norm", .k_norm = "k_norm", .norms = kNorms_behind}, plan);
}

const Family kFamily{{"Exaone4ForCausalLM"}, "exaone4", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
