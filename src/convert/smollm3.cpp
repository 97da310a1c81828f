// SmolLM3 (Bakouch et al. 2025): as Llama, but every fourth layer has no rope.
#include "base/error.h"
#include "convert/decoder.h"

namespace hearth::convert {
namespace {

// GGUF files of smollm3 do not say which layers rotate: all but every fourth.
Status require_every_fourth(const Json& config, const Decoder& decoder) {
  const auto other = [&](const char* key) {
    return error(ErrorKind::kUnsupported, "{}: {} is not every fourth layer, which is all that is supported",
                 config.file(), key);
  };
  ASSIGN_OR_RETURN(const uint32_t interval, config.count_or("no_rope_layer_interval", 4, 1, 4096));
  if (interval != 4) return other("no_rope_layer_interval");
  const boost::json::value* layers = config.find("no_rope_layers");
  if (layers == nullptr) return {};
  if (!layers->is_array() || layers->get_array().size() != decoder.layers)
    return config.invalid("no_rope_layers", "does not list every layer");
  for (uint32_t i = 0; i < decoder.layers; ++i)
    if (layers->get_array()[i] != boost::json::value(i % 4 == 3 ? 0 : 1)) return other("no_rope_layers");
  return {};
}

Status describe(const Json& config, Plan& plan) {
  ASSIGN_OR_RETURN(const Decoder decoder,
                   read_decoder(config, {.kv_heads = 4, .context = 32768, .rope_base = 2e6, .tied = true}, plan));
  TRY(require_false(config, "use_sliding_window"));
  TRY(require_every_fourth(config, decoder));
  TRY(add_rope_scaling(config, decoder, plan));
  return add_tensors(decoder, {.reordered = true}, plan);
}

const Family kFamily{{"SmolLM3ForCausalLM"}, "smollm3", describe};
const RegisterFamily registered(&kFamily);

}  // namespace
}  // namespace hearth::convert
