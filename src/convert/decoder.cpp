#include "convert/decoder.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::convert {
namespace {

// Far above any model, small enough that no product overflows.
constexpr uint32_t kMost_layers = 4096, kMost_width = 1 << 20, kMost_heads = 1 << 14, kMost_head = 1 << 13,
                   kMost_context = 1u << 30, kMost_vocabulary = 1 << 24;

Result<uint32_t> dimension(const Json& config, const char* key, uint32_t fallback, uint32_t most) {
  return fallback == 0 ? config.count(key, 1, most) : config.count_or(key, fallback, 1, most);
}

// Newer files keep what belongs to the rotation together.
Result<double> read_rope_base(const Json& config, double fallback) {
  ASSIGN_OR_RETURN(const std::optional<Json> parameters, config.child("rope_parameters"));
  if (parameters && parameters->has("rope_theta")) return parameters->number("rope_theta");
  return config.number_or("rope_theta", fallback);
}

Status read_rotated(const Json& config, Decoder& decoder) {
  ASSIGN_OR_RETURN(const std::optional<Json> parameters, config.child("rope_parameters"));
  const Json& from = parameters && parameters->has("partial_rotary_factor") ? *parameters : config;
  ASSIGN_OR_RETURN(const double part, from.number_or("partial_rotary_factor", 1));
  if (!(part > 0 && part <= 1)) return from.invalid("partial_rotary_factor", "is not above 0 and at most 1");
  decoder.rotated = static_cast<uint32_t>(decoder.head * part);
  if (decoder.rotated == 0 || decoder.rotated % 2 != 0)
    return from.invalid("partial_rotary_factor", fmt::format("leaves {} numbers to rotate", decoder.rotated));
  return {};
}

// Where the tensors' names begin: multimodal checkpoints put the language model one level down.
Result<std::string> find_prefix(const Plan& plan) {
  for (const char* prefix : {"model.", "", "language_model.model.", "model.language_model."})
    if (plan.has(std::string(prefix) + "embed_tokens.weight")) return std::string(prefix);
  return error(ErrorKind::kInvalidData, "tensor 'model.embed_tokens.weight' is missing");
}

std::string output_name(const Plan& plan, const Decoder& decoder) {
  for (const char* name : {"lm_head.weight", "language_model.lm_head.weight"})
    if (plan.has(name)) return name;
  (void)decoder;
  return "lm_head.weight";
}

Status add_linear(Plan& plan, const std::string& name, const std::string& source, uint64_t rows, uint64_t columns,
                  const TargetOptions& options = {}) {
  TRY(plan.matrix(name + ".weight", source + ".weight", rows, columns, options));
  if (!plan.has(source + ".bias")) return {};
  return plan.vector(name + ".bias", source + ".bias", rows, options);
}

class LayerPlan {
 public:
  LayerPlan(const Decoder& decoder, const LayerNames& names, Plan& plan, uint32_t index)
      : d_(decoder),
        names_(names),
        plan_(plan),
        target_(fmt::format("blk.{}.", index)),
        source_(fmt::format("{}layers.{}.", decoder.prefix, index)) {}

  Status run() {
    if (!names_.norms_behind) TRY(norm("attn_norm", "input_layernorm", d_.width));
    TRY(attention());
    if (names_.norms_behind) {
      TRY(norm("post_attention_norm", "post_attention_layernorm", d_.width));
      TRY(norm("post_ffw_norm", "post_feedforward_layernorm", d_.width));
    } else {
      TRY(names_.post_norms ? gemma_norms() : norm("ffn_norm", "post_attention_layernorm", d_.width));
    }
    if (names_.feed_forward) TRY(feed_forward());
    // Of old checkpoints; and scales of a cache of FP8.
    for (const char* other :
         {"self_attn.rotary_emb.inv_freq", "self_attn.k_scale", "self_attn.v_scale", "self_attn.k_proj.k_scale",
          "self_attn.v_proj.v_scale", "self_attn.k_proj.output_scale", "self_attn.v_proj.output_scale"})
      plan_.leave_out(source_ + other);
    return {};
  }

 private:
  Status norm(const char* name, const char* source, uint64_t values) {
    return plan_.vector(target_ + name + ".weight", source_ + source + ".weight", values, {.add = names_.add_to_norms});
  }

  Status gemma_norms() {
    TRY(norm("post_attention_norm", "post_attention_layernorm", d_.width));
    TRY(norm("ffn_norm", "pre_feedforward_layernorm", d_.width));
    return norm("post_ffw_norm", "post_feedforward_layernorm", d_.width);
  }

  Status linear(const char* name, const char* source, uint64_t rows, uint64_t columns, uint32_t heads = 0) {
    return add_linear(plan_, target_ + name, source_ + source, rows, columns, {.heads = heads});
  }

  Status attention() {
    const uint64_t q = uint64_t{d_.heads} * d_.head, kv = uint64_t{d_.kv_heads} * d_.head;
    if (names_.fused) {
      TRY(linear("attn_qkv", "self_attn.qkv_proj", q + 2 * kv, d_.width));
    } else {
      TRY(linear("attn_q", "self_attn.q_proj", q, d_.width, names_.reordered ? d_.heads : 0));
      TRY(linear("attn_k", "self_attn.k_proj", kv, d_.width, names_.reordered ? d_.kv_heads : 0));
      TRY(linear("attn_v", "self_attn.v_proj", kv, d_.width));
    }
    if (names_.qk_norms) {
      TRY(norm("attn_q_norm", "self_attn.q_norm", names_.whole_norms ? q : d_.head));
      TRY(norm("attn_k_norm", "self_attn.k_norm", names_.whole_norms ? kv : d_.head));
    }
    return linear("attn_output", "self_attn.o_proj", d_.width, q);
  }

  Status feed_forward() {
    if (names_.fused) {
      TRY(linear("ffn_up", "mlp.gate_up_proj", 2 * uint64_t{d_.inner}, d_.width));
    } else {
      TRY(linear("ffn_gate", "mlp.gate_proj", d_.inner, d_.width));
      TRY(linear("ffn_up", "mlp.up_proj", d_.inner, d_.width));
    }
    return linear("ffn_down", "mlp.down_proj", d_.width, d_.inner);
  }

  const Decoder& d_;
  const LayerNames& names_;
  Plan& plan_;
  const std::string target_, source_;
};

}  // namespace

Status add_experts(const Decoder& decoder, std::string_view module, uint32_t inner,
                   std::initializer_list<ExpertPart> parts, Plan& plan) {
  for (uint32_t i = 0; i < decoder.layers; ++i) {
    const std::string block = fmt::format("blk.{}.ffn_", i);
    const std::string source = fmt::format("{}layers.{}.{}.", decoder.prefix, i, module);
    TRY(plan.matrix(block + "gate_inp.weight", source + "gate.weight", plan.experts, decoder.width));
    for (const ExpertPart& part : parts) {
      std::vector<std::string> names;
      for (uint32_t expert = 0; expert < plan.experts; ++expert)
        names.push_back(fmt::format("{}experts.{}.{}.weight", source, expert, part.theirs));
      const bool down = part.ours == std::string_view("down");
      TRY(plan.stack(fmt::format("{}{}_exps.weight", block, part.ours), names, down ? decoder.width : inner,
                     down ? inner : decoder.width));
    }
  }
  return {};
}

Status require_text(const Json& config, std::string_view key, std::string_view expected) {
  ASSIGN_OR_RETURN(const std::string text, config.text_or(key, expected));
  if (text == expected) return {};
  return error(ErrorKind::kUnsupported, "{}: {} is '{}', which is not supported; supported is {}", config.file(), key,
               text, expected);
}

Status require_false(const Json& config, std::string_view key) {
  ASSIGN_OR_RETURN(const bool value, config.boolean_or(key, false));
  if (!value) return {};
  return error(ErrorKind::kUnsupported, "{}: {} is true, which is not supported", config.file(), key);
}

Result<Decoder> read_decoder(const Json& config, const DecoderDefaults& defaults, Plan& plan) {
  Decoder d;
  ASSIGN_OR_RETURN(d.layers, dimension(config, "num_hidden_layers", defaults.layers, kMost_layers));
  ASSIGN_OR_RETURN(d.width, dimension(config, "hidden_size", defaults.width, kMost_width));
  ASSIGN_OR_RETURN(d.inner, dimension(config, "intermediate_size", defaults.inner, kMost_width));
  ASSIGN_OR_RETURN(d.heads, dimension(config, "num_attention_heads", defaults.heads, kMost_heads));
  ASSIGN_OR_RETURN(d.kv_heads, config.count_or("num_key_value_heads",
                                               defaults.kv_heads != 0 ? defaults.kv_heads : d.heads, 1, kMost_heads));
  if (d.heads % d.kv_heads != 0) return config.invalid("num_key_value_heads", "does not divide num_attention_heads");
  const uint32_t share = std::max(1u, d.width / d.heads);
  ASSIGN_OR_RETURN(d.head, config.count_or("head_dim", defaults.head != 0 ? defaults.head : share, 1, kMost_head));
  if (d.head % 2 != 0) return config.invalid("head_dim", "is odd");
  ASSIGN_OR_RETURN(d.vocabulary, dimension(config, "vocab_size", defaults.vocabulary, kMost_vocabulary));
  ASSIGN_OR_RETURN(d.context, dimension(config, "max_position_embeddings", defaults.context, kMost_context));
  ASSIGN_OR_RETURN(const double epsilon, config.number_or("rms_norm_eps", defaults.epsilon));
  ASSIGN_OR_RETURN(d.rope_base, read_rope_base(config, defaults.rope_base));
  ASSIGN_OR_RETURN(d.tied, config.boolean_or("tie_word_embeddings", defaults.tied));
  TRY(read_rotated(config, d));
  TRY(require_text(config, config.has("hidden_activation") ? "hidden_activation" : "hidden_act", defaults.activation));
  ASSIGN_OR_RETURN(d.prefix, find_prefix(plan));

  plan.key("context_length", d.context);
  plan.key("embedding_length", d.width);
  plan.key("block_count", d.layers);
  plan.key("feed_forward_length", d.inner);
  plan.key("attention.head_count", d.heads);
  plan.key("attention.head_count_kv", d.kv_heads);
  plan.key("vocab_size", d.vocabulary);
  if (uint64_t{d.head} * d.heads != d.width) {
    plan.key("attention.key_length", d.head);
    plan.key("attention.value_length", d.head);
  }
  plan.key("rope.freq_base", d.rope_base);
  plan.key("rope.dimension_count", d.rotated);
  plan.key("attention.layer_norm_rms_epsilon", epsilon);
  plan.layers = d.layers;
  plan.heads = d.heads;
  plan.kv_heads = d.kv_heads;
  plan.vocabulary = d.vocabulary;
  return d;
}

Status add_tensors(const Decoder& decoder, const LayerNames& names, Plan& plan) {
  TRY(plan.matrix("token_embd.weight", decoder.prefix + "embed_tokens.weight", decoder.vocabulary, decoder.width));
  for (uint32_t i = 0; i < decoder.layers; ++i) TRY(LayerPlan(decoder, names, plan, i).run());
  TRY(plan.vector("output_norm.weight", decoder.prefix + "norm.weight", decoder.width, {.add = names.add_to_norms}));
  const std::string output = output_name(plan, decoder);
  if (!decoder.tied) TRY(plan.matrix("output.weight", output, decoder.vocabulary, decoder.width));
  plan.leave_out(output);  // of a tied model: the embedding once more
  plan.leave_out(decoder.prefix + "rotary_emb.inv_freq");
  return {};
}

}  // namespace hearth::convert
