#include "convert/decoder.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::convert {
namespace {

// Far above any model, small enough that no product overflows.
constexpr uint32_t kMost_layers = 4096, kMost_width = 1 << 20, kMost_heads = 1 << 14, kMost_head = 1 << 13,
                   kMost_context = 1u << 30, kMost_vocabulary = 1 << 24, kMost_experts = 1 << 16;

Result<uint32_t> dimension(const Json& config, const char* key, uint32_t fallback, uint32_t most) {
  return fallback == 0 ? config.count(key, 1, most) : config.count_or(key, fallback, 1, most);
}

// Newer files keep what belongs to the rotation together.
Result<double> read_rope_base(const Json& config, double fallback) {
  ASSIGN_OR_RETURN(const std::optional<Json> parameters, config.child("rope_parameters"));
  if (parameters && parameters->has("rope_theta")) return parameters->number("rope_theta");
  return config.number_or("rope_theta", fallback);
}

Status read_rotated(const Json& config, double fallback, Decoder& decoder) {
  ASSIGN_OR_RETURN(const std::optional<Json> parameters, config.child("rope_parameters"));
  const Json& from = parameters && parameters->has("partial_rotary_factor") ? *parameters : config;
  ASSIGN_OR_RETURN(const double part, from.number_or("partial_rotary_factor", fallback));
  if (!(part > 0 && part <= 1)) return from.invalid("partial_rotary_factor", "is not above 0 and at most 1");
  decoder.rotated = static_cast<uint32_t>(decoder.head * part);
  if (decoder.rotated == 0 || decoder.rotated % 2 != 0)
    return from.invalid("partial_rotary_factor", fmt::format("leaves {} numbers to rotate", decoder.rotated));
  return {};
}

// Where the tensors' names begin: multimodal checkpoints put the language model one level down.
Result<std::string> find_prefix(const Plan& plan) {
  for (const char* prefix :
       {"model.", "", "language_model.model.", "model.language_model.", "model.decoder.", "decoder."})
    if (plan.has(std::string(prefix) + "embed_tokens.weight")) return std::string(prefix);
  return error(ErrorKind::kInvalidData, "tensor 'model.embed_tokens.weight' is missing");
}

std::string output_name(const Plan& plan) {
  for (const char* name : {"lm_head.weight", "language_model.lm_head.weight"})
    if (plan.has(name)) return name;
  return "lm_head.weight";
}

Status read_sizes(const Json& config, const DecoderDefaults& defaults, Decoder& d) {
  ASSIGN_OR_RETURN(d.layers, dimension(config, "num_hidden_layers", defaults.layers, kMost_layers));
  ASSIGN_OR_RETURN(d.width, dimension(config, "hidden_size", defaults.width, kMost_width));
  ASSIGN_OR_RETURN(d.inner, same_for_all(config, defaults.inner_key, defaults.inner, 1, kMost_width));
  ASSIGN_OR_RETURN(d.heads, dimension(config, "num_attention_heads", defaults.heads, kMost_heads));
  ASSIGN_OR_RETURN(d.kv_heads, config.count_or("num_key_value_heads",
                                               defaults.kv_heads != 0 ? defaults.kv_heads : d.heads, 1, kMost_heads));
  if (d.heads % d.kv_heads != 0) return config.invalid("num_key_value_heads", "does not divide num_attention_heads");
  const uint32_t share = std::max(1u, d.width / d.heads);
  ASSIGN_OR_RETURN(d.head, config.count_or("head_dim", defaults.head != 0 ? defaults.head : share, 1, kMost_head));
  if (d.head % 2 != 0) return config.invalid("head_dim", "is odd");
  ASSIGN_OR_RETURN(d.vocabulary, dimension(config, "vocab_size", defaults.vocabulary, kMost_vocabulary));
  ASSIGN_OR_RETURN(d.context, dimension(config, "max_position_embeddings", defaults.context, kMost_context));
  return {};
}

}  // namespace

Result<Decoder> read_decoder(const Json& config, const DecoderDefaults& defaults, Plan& plan) {
  Decoder d;
  TRY(read_sizes(config, defaults, d));
  ASSIGN_OR_RETURN(const double epsilon, config.number_or(defaults.epsilon_key, defaults.epsilon));
  ASSIGN_OR_RETURN(d.rope_base, read_rope_base(config, defaults.rope_base));
  ASSIGN_OR_RETURN(d.tied, config.boolean_or("tie_word_embeddings", defaults.tied));
  TRY(read_rotated(config, defaults.rotated, d));
  const char* activation = config.has("hidden_activation") ? "hidden_activation" : defaults.activation_key;
  TRY(require_text(config, activation, defaults.activation));
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
  plan.key(defaults.layer_norms ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", epsilon);
  plan.layers = d.layers;
  plan.heads = d.heads;
  plan.kv_heads = d.kv_heads;
  plan.vocabulary = d.vocabulary;
  return d;
}

Result<Json> text_part(const Json& config, Plan& plan) {
  size_t left_out = 0;
  for (const char* part : {"vision_tower.", "multi_modal_projector.", "visual.", "vision_model.", "embed_vision."})
    for (const char* prefix : {"", "model."}) left_out += plan.leave_out_all(std::string(prefix) + part);
  if (left_out != 0)
    plan.notes.push_back(
        fmt::format("the part that sees pictures ({} tensors) is left out: the model gets text only", left_out));
  size_t sound = 0;
  for (const char* part : {"audio_tower.", "embed_audio."})
    for (const char* prefix : {"", "model."}) sound += plan.leave_out_all(std::string(prefix) + part);
  if (sound != 0) plan.notes.push_back(fmt::format("the part that hears ({} tensors) is left out", sound));
  ASSIGN_OR_RETURN(const std::optional<Json> text, config.child("text_config"));
  return text ? *text : config;
}

Status leave_out_predictors(const Json& config, const Decoder& decoder, Plan& plan) {
  ASSIGN_OR_RETURN(const uint32_t predictors, config.count_or("num_nextn_predict_layers", 0, 0, 64));
  size_t left_out = 0;
  for (uint32_t i = 0; i < predictors; ++i) left_out += plan.leave_out_all(decoder.layer(decoder.layers + i));
  if (left_out != 0)
    plan.notes.push_back(
        fmt::format("the layers that predict more than one token ahead ({} tensors) are left out", left_out));
  return {};
}

bool is_text_of(const Json& config, std::string_view model_type) {
  const boost::json::value* text = config.find("text_config");
  const boost::json::object& from = text != nullptr && text->is_object() ? text->get_object() : config.object();
  const boost::json::value* type = from.if_contains("model_type");
  return type != nullptr && type->is_string() && std::string_view(type->get_string()) == model_type;
}

Result<std::vector<std::string>> read_layer_types(const Json& config, uint32_t layers) {
  std::vector<std::string> types;
  const boost::json::value* list = config.find("layer_types");
  if (list == nullptr) return types;
  if (!list->is_array() || list->get_array().size() != layers)
    return config.invalid("layer_types", "does not list every layer");
  for (const boost::json::value& type : list->get_array()) {
    if (!type.is_string()) return config.invalid("layer_types", "holds what is no text");
    types.emplace_back(type.get_string());
  }
  return types;
}

Status require_windows(const Json& config, uint32_t layers, uint32_t period) {
  ASSIGN_OR_RETURN(const std::vector<std::string> types, read_layer_types(config, layers));
  for (uint32_t i = 0; i < types.size(); ++i)
    if (types[i] != ((i + 1) % period == 0 ? "full_attention" : "sliding_attention"))
      return error(ErrorKind::kUnsupported, "{}: layer_types is not {} layers with a window and one without in turns",
                   config.file(), period - 1);
  return {};
}

Status add_norm(Plan& plan, const std::string& name, const std::string& source, uint64_t width, float add) {
  TRY(plan.vector(name + ".weight", source + ".weight", width, {.add = add}));
  if (!plan.has(source + ".bias")) return {};
  return plan.vector(name + ".bias", source + ".bias", width);
}

Status add_linear(Plan& plan, const std::string& name, const std::string& source, uint64_t rows, uint64_t columns,
                  const TargetOptions& options) {
  TRY(plan.matrix(name + ".weight", source + ".weight", rows, columns, options));
  if (!plan.has(source + ".bias")) return {};
  return plan.vector(name + ".bias", source + ".bias", rows, {.heads = options.heads});
}

Status add_norms(const Decoder& decoder, const LayerNames& names, uint32_t index, Plan& plan) {
  for (const auto& [ours, theirs] : names.norms)
    TRY(add_norm(plan, fmt::format("blk.{}.{}", index, ours), decoder.layer(index) + theirs, decoder.width,
                 names.add_to_norms));
  return {};
}

Status add_attention(const Decoder& d, const LayerNames& names, uint32_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = d.layer(index) + names.attention + ".";
  const uint64_t q = uint64_t{d.heads} * d.head * names.queries, kv = uint64_t{d.kv_heads} * d.head;
  if (names.fused) {
    TRY(add_linear(plan, block + "attn_qkv", source + "qkv_proj", q + 2 * kv, d.width));
  } else {
    TRY(add_linear(plan, block + "attn_q", source + "q_proj", q, d.width, {.heads = names.reordered ? d.heads : 0}));
    if (names.keys)
      TRY(add_linear(plan, block + "attn_k", source + "k_proj", kv, d.width,
                     {.heads = names.reordered ? d.kv_heads : 0}));
    if (names.values) TRY(add_linear(plan, block + "attn_v", source + "v_proj", kv, d.width));
  }
  if (names.q_norm != nullptr) {
    const uint64_t q_width = names.whole_norms ? q : d.head, k_width = names.whole_norms ? kv : d.head;
    TRY(add_norm(plan, block + "attn_q_norm", source + names.q_norm, q_width, names.add_to_norms));
    if (names.keys) TRY(add_norm(plan, block + "attn_k_norm", source + names.k_norm, k_width, names.add_to_norms));
  }
  TRY(add_linear(plan, block + "attn_output", source + names.output, d.width, uint64_t{d.heads} * d.head));
  // Of old checkpoints; and scales of a cache of FP8.
  for (const char* other : {"rotary_emb.inv_freq", "k_scale", "v_scale", "k_proj.k_scale", "v_proj.v_scale",
                            "k_proj.output_scale", "v_proj.output_scale"})
    plan.leave_out(source + other);
  return {};
}

Status add_feed_forward(const Decoder& decoder, const FeedForwardNames& names, uint32_t index, uint64_t inner,
                        const char* suffix, Plan& plan) {
  const std::string ours = fmt::format("blk.{}.ffn_", index);
  const std::string module = *names.module == '\0' ? "" : std::string(names.module) + ".";
  const std::string theirs = decoder.layer(index) + module;
  if (names.gate != nullptr) TRY(add_linear(plan, ours + "gate" + suffix, theirs + names.gate, inner, decoder.width));
  TRY(add_linear(plan, ours + "up" + suffix, theirs + names.up, inner, decoder.width));
  return add_linear(plan, ours + "down" + suffix, theirs + names.down, decoder.width, inner);
}

Status add_feed_forward(const Decoder& decoder, const LayerNames& names, uint32_t index, Plan& plan) {
  if (!names.gate_in_up) return add_feed_forward(decoder, names.feed_forward, index, decoder.inner, "", plan);
  const std::string ours = fmt::format("blk.{}.ffn_", index);
  const std::string theirs = decoder.layer(index) + names.feed_forward.module + ".";
  TRY(add_linear(plan, ours + "up", theirs + names.feed_forward.up, 2 * uint64_t{decoder.inner}, decoder.width));
  return add_linear(plan, ours + "down", theirs + names.feed_forward.down, decoder.width, decoder.inner);
}

Status add_layer(const Decoder& decoder, const LayerNames& names, uint32_t index, Plan& plan) {
  TRY(add_norms(decoder, names, index, plan));
  TRY(add_attention(decoder, names, index, plan));
  return add_feed_forward(decoder, names, index, plan);
}

Status add_ends(const Decoder& decoder, Plan& plan, float add_to_norm, NamePair norm) {
  TRY(plan.matrix("token_embd.weight", decoder.prefix + "embed_tokens.weight", decoder.vocabulary, decoder.width));
  TRY(add_norm(plan, norm.first, decoder.prefix + norm.second, decoder.width, add_to_norm));
  const std::string output = output_name(plan);
  if (!decoder.tied) TRY(plan.matrix("output.weight", output, decoder.vocabulary, decoder.width));
  plan.leave_out(output);  // of a tied model: the embedding once more
  plan.leave_out(decoder.prefix + "rotary_emb.inv_freq");
  return {};
}

Status add_tensors(const Decoder& decoder, const LayerNames& names, Plan& plan) {
  TRY(add_ends(decoder, plan, names.add_to_norms));
  for (uint32_t i = 0; i < decoder.layers; ++i) TRY(add_layer(decoder, names, i, plan));
  return {};
}

Status add_halves(Plan& plan, const std::string& first, const std::string& second, const std::string& source,
                  uint64_t stacks, uint64_t rows, uint64_t columns) {
  std::vector<uint64_t> from = {2 * rows, columns}, to = {columns, rows};
  if (stacks != 0) from.insert(from.begin(), stacks), to.push_back(stacks);
  for (const auto& [name, begin] : {std::pair(&first, uint64_t{0}), std::pair(&second, rows)})
    TRY(plan.arranged(*name, to, {{source, from}}, {.row = [=, begin = begin](uint64_t row) -> RowPlace {
      return {0, (row / rows * 2 * rows + begin + row % rows) * columns, 1};
    }}));
  return {};
}

namespace {

// Of stacks of columns x rows: rows [first, first + rows) of `all`, as rows x columns.
Status add_turned(Plan& plan, std::string name, const std::string& source, uint64_t rows, uint64_t columns,
                  uint64_t all, uint64_t first) {
  return plan.arranged(std::move(name), {columns, rows, plan.experts}, {{source, {plan.experts, columns, all}}},
                       {.row = [=](uint64_t row) -> RowPlace {
                         return {0, row / rows * columns * all + first + row % rows, all};
                       }});
}

// By both shapes: one alone may be the same either way.
bool are_turned(const Plan& plan, const std::string& source, uint64_t width, uint64_t inner) {
  return plan.has(Needed{source + "gate_up_proj", {plan.experts, width, 2 * inner}}) &&
         plan.has(Needed{source + "down_proj", {plan.experts, inner, width}});
}

Status add_stacks(const Decoder& decoder, const ExpertNames& names, uint32_t index, Plan& plan) {
  const std::string ours = fmt::format("blk.{}.ffn_", index);
  const FeedForwardNames& parts = names.parts;
  const std::string theirs = decoder.layer(index) + names.module + "." + parts.module + ".";
  if (are_turned(plan, theirs, decoder.width, names.inner))
    return add_turned_stacks(decoder, names.inner, index, theirs, plan);
  if (plan.has(theirs + "gate_up_proj")) {
    TRY(add_halves(plan, ours + "gate_exps.weight", ours + "up_exps.weight", theirs + "gate_up_proj", plan.experts,
                   names.inner, decoder.width));
    return plan.arranged(ours + "down_exps.weight", {names.inner, decoder.width, plan.experts},
                         {{theirs + "down_proj", {plan.experts, decoder.width, names.inner}}});
  }
  for (const auto& [part, name, down] :
       {std::tuple("gate", parts.gate, false), {"up", parts.up, false}, {"down", parts.down, true}}) {
    if (name == nullptr) continue;
    std::vector<std::string> sources;
    for (uint32_t expert = 0; expert < plan.experts; ++expert)
      sources.push_back(fmt::format("{}{}.{}.weight", theirs, expert, name));
    TRY(plan.stack(fmt::format("{}{}_exps.weight", ours, part), sources, down ? decoder.width : names.inner,
                   down ? names.inner : decoder.width));
  }
  return {};
}

}  // namespace

Status add_turned_stacks(const Decoder& decoder, uint64_t inner, uint32_t index, const std::string& source,
                         Plan& plan) {
  const std::string ours = fmt::format("blk.{}.ffn_", index), both = source + "gate_up_proj";
  TRY(add_turned(plan, ours + "gate_exps.weight", both, inner, decoder.width, 2 * inner, 0));
  TRY(add_turned(plan, ours + "up_exps.weight", both, inner, decoder.width, 2 * inner, inner));
  return add_turned(plan, ours + "down_exps.weight", source + "down_proj", decoder.width, inner, decoder.width, 0);
}

Status add_experts(const Decoder& decoder, const ExpertNames& names, uint32_t index, Plan& plan) {
  const std::string block = fmt::format("blk.{}.", index), source = decoder.layer(index) + names.module + ".";
  TRY(plan.matrix(block + "ffn_gate_inp.weight", source + names.router + ".weight", plan.experts, decoder.width));
  TRY(add_stacks(decoder, names, index, plan));
  if (names.choice_bias != nullptr)
    TRY(plan.vector(block + "exp_probs_b.bias", source + names.choice_bias, plan.experts));
  if (names.shared.module == nullptr || names.shared_inner == 0) return {};
  FeedForwardNames shared = names.shared;
  const std::string module = std::string(names.module) + "." + shared.module;
  shared.module = module.c_str();
  return add_feed_forward(decoder, shared, index, names.shared_inner, "_shexp", plan);
}

Status read_experts(const Json& config, const char* count_key, const char* used_key, Plan& plan) {
  ASSIGN_OR_RETURN(plan.experts, config.count(count_key, 1, kMost_experts));
  ASSIGN_OR_RETURN(const uint32_t used, config.count(used_key, 1, plan.experts));
  plan.key("expert_count", plan.experts);
  plan.key("expert_used_count", used);
  return {};
}

Result<uint32_t> same_for_all(const Json& config, const char* key, uint32_t fallback, uint32_t least, uint32_t most) {
  const boost::json::value* value = config.find(key);
  if (value == nullptr || !value->is_array())
    return fallback == 0 ? config.count(key, least, most) : config.count_or(key, fallback, least, most);
  const boost::json::array& all = value->get_array();
  boost::system::error_code failed;
  const auto first = all.empty() ? 0 : all[0].to_number<uint32_t>(failed);
  const auto differs = [&](const boost::json::value& one) { return one != all[0]; };
  if (all.empty() || failed || first < least || first > most || std::any_of(all.begin(), all.end(), differs))
    return error(ErrorKind::kUnsupported, "{}: {} differs from layer to layer, which is not supported", config.file(),
                 key);
  return first;
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

Status require_true(const Json& config, std::string_view key, bool fallback) {
  ASSIGN_OR_RETURN(const bool value, config.boolean_or(key, fallback));
  if (value) return {};
  return error(ErrorKind::kUnsupported, "{}: {} is false, which is not supported", config.file(), key);
}

}  // namespace hearth::convert
