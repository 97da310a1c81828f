// Names and layouts of checkpoints, family by family, from the modules of transformers
// (src/transformers/models/*/modeling_*.py) and the checkpoints that their authors published.
#include <cmath>
#include <map>

#include "convert/model_folder.h"

namespace hearth::test {
namespace {

using Shape = ModelFolder::Shape;
using Values = std::vector<float>;
using Other = std::function<bool(ModelFolder&, const gguf::Tensor&, const std::string&, const std::string&)>;

Values part(const Values& all, uint64_t first, uint64_t count) {
  const auto begin = all.begin() + static_cast<ptrdiff_t>(first);
  return {begin, begin + static_cast<ptrdiff_t>(count)};
}
void append(Values& to, const Values& more) {
  to.insert(to.end(), more.begin(), more.end());
}
// Rows [first, first + count) of a matrix.
Values rows(const Values& all, uint64_t columns, uint64_t first, uint64_t count) {
  return part(all, first * columns, count * columns);
}
Values turned(const Values& all, uint64_t count_of_rows) {
  const uint64_t columns = all.size() / count_of_rows;
  Values out(all.size());
  for (uint64_t r = 0; r < count_of_rows; ++r)
    for (uint64_t c = 0; c < columns; ++c) out[c * count_of_rows + r] = all[r * columns + c];
  return out;
}

bool is_stack(const std::string& rest) {
  return rest.ends_with("_exps.weight");
}

// A tensor for each expert: module.experts.3.up_proj.weight.
bool separate_experts(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer,
                      const std::string& rest, const std::string& module, const char* gate, const char* up,
                      const char* down) {
  if (!is_stack(rest)) return false;
  const char* name = rest.starts_with("ffn_gate") ? gate : rest.starts_with("ffn_up") ? up : down;
  const uint64_t columns = tensor.shape[0], count = tensor.shape[1], each = columns * count;
  const Values all = folder.values(tensor.name);
  for (uint64_t i = 0; i < tensor.shape[2]; ++i)
    folder.put(fmt::format("{}{}.{}.{}.weight", layer, module, i, name), {count, columns}, part(all, i * each, each));
  return true;
}

Other experts_of(std::string module, const char* gate = "gate_proj", const char* up = "up_proj",
                 const char* down = "down_proj") {
  return [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
    return separate_experts(folder, tensor, layer, rest, module + ".experts", gate, up, down);
  };
}

// Several of these, the first that knows the tensor.
Other first_of(std::vector<Other> all) {
  return [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
    for (const Other& one : all)
      if (one(folder, tensor, layer, rest)) return true;
    return false;
  };
}

// The same numbers in another shape: a vector as a matrix of one row, channels of a convolution.
Other reshaped(std::string ours, std::string theirs, std::function<Shape(const gguf::Tensor&)> shape) {
  return [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
    if (rest != ours) return false;
    folder.put(layer + theirs, shape(tensor), folder.values(tensor.name));
    return true;
  };
}
Shape as_row(const gguf::Tensor& tensor) {
  return {1, tensor.values()};
}
Shape as_vector(const gguf::Tensor& tensor) {
  return {tensor.values()};
}
Shape as_convolution(const gguf::Tensor& tensor) {
  return {tensor.shape[1], 1, tensor.shape[0]};
}

// -exp(A_log)
Other decays(std::string theirs) {
  return [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
    if (rest != "ssm_a") return false;
    Values values = folder.values(tensor.name);
    for (float& value : values) value = std::log(-value);
    folder.put(layer + theirs, {values.size()}, values);
    return true;
  };
}

Other state_space(const std::string& module) {
  return first_of({reshaped("ssm_conv1d.weight", module + "conv1d.weight", as_convolution),
                   reshaped("ssm_dt.bias", module + "dt_bias", as_vector), decays(module + "A_log"),
                   reshaped("ssm_d", module + "D", as_vector),
                   reshaped("ssm_norm.weight", module + "norm.weight", as_vector)});
}
std::vector<std::pair<std::string, std::string>> state_space_names(const std::string& module) {
  return {{"ssm_in.", module + "in_proj."},
          {"ssm_conv1d.bias", module + "conv1d.bias"},
          {"ssm_out.", module + "out_proj."}};
}

// Gate and up of all experts, or of one matrix, one under the other.
bool gate_over_up(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest,
                  const std::string& suffix, const std::string& theirs) {
  if (rest == "ffn_up" + suffix) return true;  // with the gate
  if (rest != "ffn_gate" + suffix) return false;
  const std::string block = tensor.name.substr(0, tensor.name.size() - rest.size());
  const Values gate = folder.values(tensor.name), up = folder.values(block + "ffn_up" + suffix);
  const uint64_t columns = tensor.shape[0], inner = tensor.shape[1], count = tensor.shape[2], each = columns * inner;
  Values all;
  for (uint64_t i = 0; i < count; ++i) append(all, part(gate, i * each, each)), append(all, part(up, i * each, each));
  folder.put(layer + theirs, count == 1 ? Shape{2 * inner, columns} : Shape{count, 2 * inner, columns}, all);
  return true;
}
Other gate_over_up_of(std::string suffix, std::string theirs) {
  return [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
    return gate_over_up(folder, tensor, layer, rest, suffix, theirs);
  };
}
// A stack as it is.
Other stack_of(std::string ours, std::string theirs) {
  return reshaped(std::move(ours), std::move(theirs), [](const gguf::Tensor& tensor) -> Shape {
    return {tensor.shape[2], tensor.shape[1], tensor.shape[0]};
  });
}

// --- families

Layout mixtral() {
  return {.names = {{"ffn_gate_inp.", "block_sparse_moe.gate."}},
          .halves = true,
          .other = experts_of("block_sparse_moe", "w1", "w3", "w2")};
}

Layout gpt2() {
  return {.prefix = "transformer.",
          .layers = "h.",
          .names = {{"token_embd.", "wte."},
                    {"position_embd.", "wpe."},
                    {"output_norm.", "ln_f."},
                    {"attn_norm.", "ln_1."},
                    {"ffn_norm.", "ln_2."},
                    {"attn_qkv.", "attn.c_attn."},
                    {"attn_output.", "attn.c_proj."},
                    {"ffn_up.", "mlp.c_fc."},
                    {"ffn_down.", "mlp.c_proj."}},
          .transposed = true};
}

Layout gemma(float less) {
  return {.names = {{"ffn_norm.", "pre_feedforward_layernorm."}}, .less = less};
}

Layout glm4() {
  return {.names = {{"post_attention_norm.", "post_self_attn_layernorm."},
                    {"ffn_norm.", "post_attention_layernorm."},
                    {"post_ffw_norm.", "post_mlp_layernorm."},
                    {"ffn_up.", "mlp.gate_up_proj."}}};
}

// Of one that predicts: model.layers.3.eh_proj and so on.
Layout glm4moe() {
  return {.names = {{"nextn.eh_proj.", "eh_proj."},
                    {"nextn.enorm.", "enorm."},
                    {"nextn.hnorm.", "hnorm."},
                    {"nextn.shared_head_norm.", "shared_head.norm."},
                    {"ffn_gate_inp.", "mlp.gate."},
                    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
                    {"ffn_gate_shexp.", "mlp.shared_experts.gate_proj."},
                    {"ffn_up_shexp.", "mlp.shared_experts.up_proj."},
                    {"ffn_down_shexp.", "mlp.shared_experts.down_proj."}},
          .other = experts_of("mlp")};
}

// One matrix makes the keys and values of all heads: for each its keys, then its values.
bool join_heads(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
  if (rest == "attn_v_b.weight") return true;  // with the keys
  if (rest != "attn_k_b.weight") return false;
  const std::string block = tensor.name.substr(0, tensor.name.size() - rest.size());
  const Values keys = folder.values(tensor.name), values = folder.values(block + "attn_v_b.weight");
  const uint64_t key = tensor.shape[0], rank = tensor.shape[1], heads = tensor.shape[2],
                 value = values.size() / heads / rank;
  Values all;
  for (uint64_t h = 0; h < heads; ++h) {
    append(all, turned(part(keys, h * key * rank, key * rank), rank));
    append(all, part(values, h * value * rank, value * rank));
  }
  folder.put(layer + "self_attn.kv_b_proj.weight", {heads * (key + value), rank}, all);
  return true;
}
Layout deepseek2() {
  Layout layout = glm4moe();
  for (const auto& pair : {std::pair("attn_q_a.", "self_attn.q_a_proj."),
                           {"attn_q_a_norm.", "self_attn.q_a_layernorm."},
                           {"attn_q_b.", "self_attn.q_b_proj."},
                           {"attn_kv_a_mqa.", "self_attn.kv_a_proj_with_mqa."},
                           {"attn_kv_a_norm.", "self_attn.kv_a_layernorm."},
                           {"attn_kv_b.", "self_attn.kv_b_proj."}})
    layout.names.emplace_back(pair.first, pair.second);
  layout.other = first_of({join_heads, experts_of("mlp")});
  return layout;
}

// Numbers of two vectors, or columns, in turns.
Values in_turns(const Values& first, const Values& second) {
  Values all;
  for (size_t i = 0; i < first.size(); ++i) all.push_back(first[i]), all.push_back(second[i]);
  return all;
}

// Rows of gate and up in turns; as columns x rows, or as blocks of MXFP4: half a byte for each number, the first in the
// lower half, and an exponent for each 32 of them.
struct Mxfp4 {
  std::vector<uint8_t> blocks, exponents;
};
Mxfp4 read_mxfp4(const gguf::File& file, const std::string& name) {
  const gguf::Tensor& tensor = *file.tensor(name);
  std::vector<std::byte> bytes(tensor.bytes);
  EXPECT_TRUE(file.read(tensor, 0, bytes).ok());
  Mxfp4 out;
  for (size_t at = 0; at < bytes.size(); at += 17) {
    out.exponents.push_back(static_cast<uint8_t>(bytes[at]));
    // ggml: number i is in the lower half of byte i, number i + 16 in the upper one.
    const auto number = [&](size_t i) {
      const auto both = static_cast<uint8_t>(bytes[at + 1 + i % 16]);
      return static_cast<uint8_t>(i < 16 ? both & 15 : both >> 4);
    };
    for (size_t i = 0; i < 32; i += 2) out.blocks.push_back(static_cast<uint8_t>(number(i) | number(i + 1) << 4));
  }
  return out;
}
std::vector<uint8_t> pieces_in_turns(const std::vector<uint8_t>& first, const std::vector<uint8_t>& second,
                                     size_t piece) {
  std::vector<uint8_t> all;
  for (size_t at = 0; at < first.size(); at += piece)
    for (const auto* from : {&first, &second})
      all.insert(all.end(), from->begin() + static_cast<ptrdiff_t>(at),
                 from->begin() + static_cast<ptrdiff_t>(at + piece));
  return all;
}

bool gpt_oss_blocks(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& block, const std::string& rest,
                    const std::string& theirs) {
  const uint64_t groups = tensor.shape[0] / 32, count = tensor.shape[1], experts = tensor.shape[2];
  Mxfp4 all = read_mxfp4(folder.file(), tensor.name);
  if (rest == "ffn_down_exps.weight") {
    folder.put_bytes(theirs + "down_proj_blocks", {experts, count, groups, 16}, all.blocks);
    folder.put_bytes(theirs + "down_proj_scales", {experts, count, groups}, all.exponents);
    return true;
  }
  const Mxfp4 up = read_mxfp4(folder.file(), block + "ffn_up_exps.weight");
  folder.put_bytes(theirs + "gate_up_proj_blocks", {experts, 2 * count, groups, 16},
                   pieces_in_turns(all.blocks, up.blocks, groups * 16));
  folder.put_bytes(theirs + "gate_up_proj_scales", {experts, 2 * count, groups},
                   pieces_in_turns(all.exponents, up.exponents, groups));
  return true;
}

bool gpt_oss_experts(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer,
                     const std::string& rest) {
  if (rest.starts_with("ffn_up_exps.")) return true;  // with the gate
  if (!rest.starts_with("ffn_gate_exps.") && !rest.starts_with("ffn_down_exps.")) return false;
  const std::string block = tensor.name.substr(0, tensor.name.size() - rest.size()), theirs = layer + "mlp.experts.";
  if (std::string_view(tensor.format->name) == "MXFP4") return gpt_oss_blocks(folder, tensor, block, rest, theirs);
  const bool gate = rest.starts_with("ffn_gate");
  const std::string suffix = rest.substr(rest.find('.'));
  Values all = folder.values(tensor.name), up;
  if (gate) up = folder.values(block + "ffn_up_exps" + suffix);
  const std::string name = theirs + (gate ? "gate_up_proj" : "down_proj");
  if (suffix == ".bias") {
    folder.put(name + "_bias", {tensor.shape[1], tensor.shape[0] * (gate ? 2 : 1)}, gate ? in_turns(all, up) : all);
    return true;
  }
  const uint64_t columns = tensor.shape[0], count = tensor.shape[1], each = columns * count;
  Values out;
  for (uint64_t i = 0; i < tensor.shape[2]; ++i) {
    const Values one = turned(part(all, i * each, each), count);
    append(out, gate ? in_turns(one, turned(part(up, i * each, each), count)) : one);
  }
  folder.put(name, {tensor.shape[2], columns, gate ? 2 * count : count}, out);
  return true;
}
Layout gpt_oss() {
  return {.names = {{"ffn_gate_inp.", "mlp.router."}, {"attn_sinks.weight", "self_attn.sinks"}},
          .other = gpt_oss_experts};
}

Layout qwen_moe() {
  return {.names = {{"ffn_gate_inp.", "mlp.gate."},
                    {"ffn_gate_shexp.", "mlp.shared_expert.gate_proj."},
                    {"ffn_up_shexp.", "mlp.shared_expert.up_proj."},
                    {"ffn_down_shexp.", "mlp.shared_expert.down_proj."}},
          .other = first_of(
              {experts_of("mlp"), reshaped("ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", as_row)})};
}

// Queries, keys, values and gates of each key head together.
bool join_groups(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
  if (rest == "attn_gate.weight") return true;  // with the others
  if (rest != "attn_qkv.weight") return false;
  const std::string block = tensor.name.substr(0, tensor.name.size() - rest.size());
  const Values qkv = folder.values(tensor.name), z = folder.values(block + "attn_gate.weight");
  const uint64_t keys = folder.key("ssm.group_count"), dim = folder.key("ssm.state_size"), width = tensor.shape[0],
                 values = folder.key("ssm.inner_size") / keys;
  Values all;
  for (uint64_t k = 0; k < keys; ++k) {
    append(all, rows(qkv, width, k * dim, dim));
    append(all, rows(qkv, width, (keys + k) * dim, dim));
    append(all, rows(qkv, width, 2 * keys * dim + k * values, values));
    append(all, rows(z, width, k * values, values));
  }
  const uint64_t count = all.size() / width;
  folder.put(layer + "linear_attn.in_proj_qkvz.weight", {count, width}, all);
  return true;
}

Other delta_net() {
  const std::string net = "linear_attn.";
  return first_of({reshaped("ssm_conv1d.weight", net + "conv1d.weight", as_convolution),
                   reshaped("ssm_dt.bias", net + "dt_bias", as_vector), decays(net + "A_log"),
                   reshaped("ssm_norm.weight", net + "norm.weight", as_vector)});  // the only norm as it is
}
Layout qwen3next() {
  Layout layout = qwen_moe();
  layout.names.emplace_back("ssm_ba.", "linear_attn.in_proj_ba.");
  layout.names.emplace_back("ssm_out.", "linear_attn.out_proj.");
  layout.less = 1;
  layout.other = first_of({join_groups, delta_net(), layout.other});
  return layout;
}

// Value heads of one key head stand together; GGUF deals them out. `first`: rows before that stay.
Values gathered(const ModelFolder& folder, const Values& all, uint64_t head_values, uint64_t first = 0) {
  const uint64_t keys = folder.key("ssm.group_count"), heads = folder.key("ssm.time_step_rank"), each = heads / keys;
  Values out = part(all, 0, first);
  for (uint64_t h = 0; h < heads; ++h)
    append(out, part(all, first + (h % each * keys + h / each) * head_values, head_values));
  return out;
}
bool gather_heads(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
  const std::string net = layer + "linear_attn.";
  const uint64_t heads = folder.key("ssm.time_step_rank"),
                 dim = folder.key("ssm.inner_size") / std::max<uint64_t>(1, heads),
                 keys = 2 * folder.key("ssm.group_count") * folder.key("ssm.state_size"), columns = tensor.shape[0];
  const Values all = folder.values(tensor.name);
  if (rest == "attn_qkv.weight")
    folder.put(net + "in_proj_qkv.weight", {tensor.shape[1], columns},
               gathered(folder, all, dim * columns, keys * columns));
  else if (rest == "attn_gate.weight")
    folder.put(net + "in_proj_z.weight", {tensor.shape[1], columns}, gathered(folder, all, dim * columns));
  else if (rest == "ssm_beta.weight")
    folder.put(net + "in_proj_b.weight", {heads, columns}, gathered(folder, all, columns));
  else if (rest == "ssm_alpha.weight")
    folder.put(net + "in_proj_a.weight", {heads, columns}, gathered(folder, all, columns));
  else if (rest == "ssm_conv1d.weight")
    folder.put(net + "conv1d.weight", {tensor.shape[1], 1, columns},
               gathered(folder, all, dim * columns, keys * columns));
  else if (rest == "ssm_dt.bias")
    folder.put(net + "dt_bias", {heads}, gathered(folder, all, 1));
  else if (rest == "ssm_out.weight") {
    const uint64_t width = tensor.shape[1];
    folder.put(net + "out_proj.weight", {width, columns},
               turned(gathered(folder, turned(all, width), dim * width), columns));
  } else if (rest == "ssm_a") {
    Values logs = gathered(folder, all, 1);
    for (float& value : logs) value = std::log(-value);
    folder.put(net + "A_log", {heads}, logs);
  } else {
    return false;
  }
  return true;
}
Layout qwen35(bool experts) {
  Layout layout = qwen_moe();
  layout.prefix = "model.language_model.";
  layout.less = 1;
  layout.other = first_of({gather_heads, reshaped("ssm_norm.weight", "linear_attn.norm.weight", as_vector)});
  if (experts)
    layout.other = first_of({layout.other, gate_over_up_of("_exps.weight", "mlp.experts.gate_up_proj"),
                             stack_of("ffn_down_exps.weight", "mlp.experts.down_proj"),
                             reshaped("ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", as_row)});
  return layout;
}

Layout granite(bool hybrid) {
  Layout layout{
      .names = {{"ffn_gate_inp.", "block_sparse_moe.router.layer."}, {"ffn_down_shexp.", "shared_mlp.output_linear."}},
      .halves = true,
      .other = first_of({gate_over_up_of("_shexp.weight", "shared_mlp.input_linear.weight"),
                         gate_over_up_of("_exps.weight", "block_sparse_moe.input_linear.weight"),
                         stack_of("ffn_down_exps.weight", "block_sparse_moe.output_linear.weight")})};
  if (!hybrid) return layout;
  for (const auto& pair : state_space_names("mamba.")) layout.names.push_back(pair);
  layout.other = first_of({state_space("mamba."), layout.other});
  return layout;
}

Layout backbone(bool experts) {
  Layout layout{.prefix = "backbone.",
                .names = {{"token_embd.", "embeddings."},
                          {"output_norm.", "norm_f."},
                          {"attn_norm.", "norm."},
                          {"attn_q.", "mixer.q_proj."},
                          {"attn_k.", "mixer.k_proj."},
                          {"attn_v.", "mixer.v_proj."},
                          {"attn_output.", "mixer.o_proj."},
                          {"ffn_up.", "mixer.up_proj."},
                          {"ffn_down.", "mixer.down_proj."},
                          {"ffn_gate_inp.", "mixer.gate."},
                          {"exp_probs_b.bias", "mixer.gate.e_score_correction_bias"},
                          {"ffn_latent_down.", "mixer.fc1_latent_proj."},
                          {"ffn_latent_up.", "mixer.fc2_latent_proj."},
                          {"ffn_up_shexp.", "mixer.shared_experts.up_proj."},
                          {"ffn_down_shexp.", "mixer.shared_experts.down_proj."}}};
  for (const auto& pair : state_space_names("mixer.")) layout.names.push_back(pair);
  layout.other = state_space("mixer.");
  if (experts) layout.other = first_of({layout.other, experts_of("mixer")});
  return layout;
}

Layout lfm2() {
  return {.names = {{"token_embd_norm.", "embedding_norm."},
                    {"attn_norm.", "operator_norm."},
                    {"ffn_norm.", "ffn_norm."},
                    {"attn_output.", "self_attn.out_proj."},
                    {"attn_q_norm.", "self_attn.q_layernorm."},
                    {"attn_k_norm.", "self_attn.k_layernorm."},
                    {"shortconv.in_proj.", "conv.in_proj."},
                    {"shortconv.out_proj.", "conv.out_proj."},
                    {"ffn_gate_inp.", "feed_forward.gate."},
                    {"exp_probs_b.bias", "feed_forward.expert_bias"},
                    {"ffn_gate.", "feed_forward.w1."},
                    {"ffn_up.", "feed_forward.w3."},
                    {"ffn_down.", "feed_forward.w2."}},
          .other = first_of({experts_of("feed_forward", "w1", "w3", "w2"),
                             reshaped("shortconv.conv.weight", "conv.conv.weight", as_convolution)})};
}

// Stacks of columns x rows, up behind gate.
bool turned_stacks(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest,
                   const std::string& theirs) {
  if (!is_stack(rest)) return false;
  if (rest == "ffn_up_exps.weight") return true;  // with the gate
  const bool gate = rest == "ffn_gate_exps.weight";
  const std::string block = tensor.name.substr(0, tensor.name.size() - rest.size());
  const Values all = folder.values(tensor.name), up = gate ? folder.values(block + "ffn_up_exps.weight") : Values();
  const uint64_t columns = tensor.shape[0], count = tensor.shape[1], each = columns * count;
  Values out;
  for (uint64_t i = 0; i < tensor.shape[2]; ++i) {
    Values one = part(all, i * each, each);
    if (gate) append(one, part(up, i * each, each));
    append(out, turned(one, one.size() / columns));
  }
  folder.put(layer + theirs + (gate ? "gate_up_proj" : "down_proj"),
             {tensor.shape[2], columns, gate ? 2 * count : count}, out);
  return true;
}
Other turned_stacks_of(std::string theirs) {
  return [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
    return turned_stacks(folder, tensor, layer, rest, theirs);
  };
}
Layout llama4() {
  return {.prefix = "language_model.model.",
          .names = {{"ffn_gate_inp.", "feed_forward.router."},
                    {"ffn_gate_shexp.", "feed_forward.shared_expert.gate_proj."},
                    {"ffn_up_shexp.", "feed_forward.shared_expert.up_proj."},
                    {"ffn_down_shexp.", "feed_forward.shared_expert.down_proj."},
                    {"ffn_gate.", "feed_forward.gate_proj."},
                    {"ffn_up.", "feed_forward.up_proj."},
                    {"ffn_down.", "feed_forward.down_proj."}},
          .other = turned_stacks_of("feed_forward.experts.")};
}

// Stacks as they were published, and in the last layer as newer libraries write them.
Layout qwen3vlmoe() {
  const Other published = turned_stacks_of("mlp.experts."),
              newer = first_of({gate_over_up_of("_exps.weight", "mlp.experts.gate_up_proj"),
                                stack_of("ffn_down_exps.weight", "mlp.experts.down_proj")});
  return {
      .prefix = "model.language_model.",
      .names = {{"ffn_gate_inp.", "mlp.gate."}},
      .other = [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
        const std::string last = fmt::format("layers.{}.", folder.key("block_count") - 1);
        return (layer.ends_with(last) ? newer : published)(folder, tensor, layer, rest);
      }};
}

// Three matrices, each a tensor.
Other separate_streams(std::string ours, std::string theirs) {
  return [=](ModelFolder& folder, const gguf::Tensor& tensor, const std::string&, const std::string& rest) {
    if (rest != ours) return false;
    const uint64_t each = tensor.shape[0] * tensor.shape[1];
    const Values all = folder.values(tensor.name);
    for (uint64_t i = 0; i < tensor.shape[2]; ++i)
      folder.put(fmt::format("model.language_model.{}.{}.weight", theirs, i), {tensor.shape[1], tensor.shape[0]},
                 part(all, i * each, each));
    return true;
  };
}
Layout gemma_small() {
  Layout layout = gemma(0);
  layout.prefix = "model.language_model.";
  for (const auto& pair : {std::pair("per_layer_token_embd.", "embed_tokens_per_layer."),
                           {"per_layer_model_proj.", "per_layer_model_projection."},
                           {"per_layer_proj_norm.", "per_layer_projection_norm."},
                           {"inp_gate.", "per_layer_input_gate."},
                           {"proj.", "per_layer_projection."},
                           {"post_norm.", "post_per_layer_input_norm."}})
    layout.names.emplace_back(pair.first, pair.second);
  return layout;
}
Layout gemma3n() {
  Layout layout = gemma_small();
  for (const auto& pair : {std::pair("altup_correct_coef.", "altup.correction_coefs."),
                           {"altup_correct_scale.weight", "altup.correct_output_scale"},
                           {"altup_predict_coef.", "altup.prediction_coefs."},
                           {"altup_router.", "altup.modality_router."},
                           {"altup_router_norm.", "altup.router_norm."},
                           {"laurel_l.", "laurel.linear_left."},
                           {"laurel_r.", "laurel.linear_right."},
                           {"laurel_post_norm.", "laurel.post_laurel_norm."}})
    layout.names.emplace_back(pair.first, pair.second);
  layout.other = first_of({separate_streams("altup_proj.weight", "altup_projections"),
                           separate_streams("altup_unembd_proj.weight", "altup_unembed_projections")});
  return layout;
}
Layout gemma4() {
  Layout layout = gemma_small();
  for (const auto& pair : {std::pair("layer_output_scale.weight", "layer_scalar"),
                           {"ffn_gate_inp.weight", "router.proj.weight"},
                           {"ffn_gate_inp.scale", "router.scale"},
                           {"ffn_down_exps.scale", "router.per_expert_scale"},
                           {"post_ffw_norm_1.", "post_feedforward_layernorm_1."},
                           {"pre_ffw_norm_2.", "pre_feedforward_layernorm_2."},
                           {"post_ffw_norm_2.", "post_feedforward_layernorm_2."}})
    layout.names.emplace_back(pair.first, pair.second);
  layout.other = first_of({stack_of("ffn_gate_up_exps.weight", "experts.gate_up_proj"),
                           stack_of("ffn_down_exps.weight", "experts.down_proj")});
  return layout;
}

Layout hunyuan() {
  return {.names = {{"attn_q_norm.", "self_attn.query_layernorm."},
                    {"attn_k_norm.", "self_attn.key_layernorm."},
                    {"ffn_gate_inp.", "mlp.gate.wg."},
                    {"ffn_gate_shexp.", "mlp.shared_mlp.gate_proj."},
                    {"ffn_up_shexp.", "mlp.shared_mlp.up_proj."},
                    {"ffn_down_shexp.", "mlp.shared_mlp.down_proj."}},
          .other = experts_of("mlp")};
}

Layout ernie_moe() {
  return {.names = {{"ffn_gate_inp.", "mlp.gate."},
                    {"ffn_gate_shexp.", "mlp.shared_experts.gate_proj."},
                    {"ffn_up_shexp.", "mlp.shared_experts.up_proj."},
                    {"ffn_down_shexp.", "mlp.shared_experts.down_proj."}},
          .other = first_of(
              {experts_of("mlp"), reshaped("exp_probs_b.bias", "mlp.moe_statics.e_score_correction_bias", as_row)})};
}

Layout minimax_m2() {
  return {.names = {{"ffn_gate_inp.", "block_sparse_moe.gate."},
                    {"exp_probs_b.bias", "block_sparse_moe.e_score_correction_bias"}},
          .other = experts_of("block_sparse_moe", "w1", "w3", "w2")};
}

// Of each head of keys its queries, its key and its value.
bool falcon_groups(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
  if (rest != "attn_qkv.weight") return false;
  const Values all = folder.values(tensor.name);
  const uint64_t heads = folder.key("attention.head_count"), kv = folder.key("attention.head_count_kv"),
                 width = tensor.shape[0], head = width / heads, queries = heads / kv;
  Values out;
  for (uint64_t i = 0; i < kv; ++i) {
    append(out, rows(all, width, i * queries * head, queries * head));
    append(out, rows(all, width, (heads + i) * head, head));
    append(out, rows(all, width, (heads + kv + i) * head, head));
  }
  folder.put(layer + "self_attention.query_key_value.weight", {tensor.shape[1], width}, out);
  return true;
}
Layout falcon() {
  return {.prefix = "transformer.",
          .layers = "h.",
          .names = {{"token_embd.", "word_embeddings."},
                    {"output_norm.", "ln_f."},
                    {"attn_output.", "self_attention.dense."},
                    {"ffn_up.", "mlp.dense_h_to_4h."},
                    {"ffn_down.", "mlp.dense_4h_to_h."}},
          .other = falcon_groups};
}

// Two rows that nothing uses before the table of positions.
bool opt_positions(ModelFolder& folder, const gguf::Tensor& tensor, const std::string&, const std::string& rest) {
  if (rest != "position_embd.weight") return false;
  Values all(2 * tensor.shape[0], 77.0f);
  append(all, folder.values(tensor.name));
  folder.put("model.decoder.embed_positions.weight", {tensor.shape[1] + 2, tensor.shape[0]}, all);
  return true;
}
Layout opt() {
  return {.prefix = "model.decoder.",
          .names = {{"output_norm.", "final_layer_norm."},
                    {"project_in.", "project_in."},
                    {"project_out.", "project_out."},
                    {"attn_norm.", "self_attn_layer_norm."},
                    {"ffn_norm.", "final_layer_norm."},
                    {"attn_output.", "self_attn.out_proj."},
                    {"ffn_up.", "fc1."},
                    {"ffn_down.", "fc2."}},
          .other = opt_positions};
}

bool phi_parts(ModelFolder& folder, const gguf::Tensor& tensor, const std::string& layer, const std::string& rest) {
  const Values all = folder.values(tensor.name);
  if (rest == "output.bias") {
    folder.put("lm_head.bias", {all.size()}, all);
    return true;
  }
  if (!rest.starts_with("attn_qkv.")) return false;
  const uint64_t columns = tensor.dimensions == 1 ? 1 : tensor.shape[0], count = all.size() / columns / 3;
  const char* names[] = {"q_proj", "k_proj", "v_proj"};
  for (uint64_t i = 0; i < 3; ++i)
    folder.put(fmt::format("{}self_attn.{}{}", layer, names[i], rest.substr(rest.find('.'))),
               tensor.dimensions == 1 ? Shape{count} : Shape{count, columns}, rows(all, columns, i * count, count));
  return true;
}
Layout phi2() {
  return {.names = {{"output_norm.", "final_layernorm."},
                    {"attn_output.", "self_attn.dense."},
                    {"ffn_up.", "mlp.fc1."},
                    {"ffn_down.", "mlp.fc2."}},
          .other = phi_parts};
}

}  // namespace

Layout layout_of(const gguf::File& file) {
  const std::string name(file.string_or("general.architecture", ""));
  const std::map<std::string, std::function<Layout()>> all = {
      {"llama", mixtral},
      {"gpt2", gpt2},
      {"gemma2", [] { return gemma(1); }},
      {"gemma3", [] { return gemma(1); }},
      {"phi3",
       [] {
         return Layout{.names = {{"ffn_up.", "mlp.gate_up_proj."}}};
       }},
      {"smollm3", [] { return Layout{.halves = true}; }},
      {"mistral3", [] { return Layout{.prefix = "model.language_model.", .halves = true}; }},
      {"granite", [] { return granite(false); }},
      {"granitemoe", [] { return granite(false); }},
      {"granitehybrid", [] { return granite(true); }},
      {"glm4", glm4},
      {"glm4moe", glm4moe},
      {"deepseek2", deepseek2},
      {"gpt-oss", gpt_oss},
      {"qwen2moe", qwen_moe},
      {"qwen3moe", qwen_moe},
      {"qwen3next", qwen3next},
      {"qwen35", [] { return qwen35(false); }},
      {"qwen35moe", [] { return qwen35(true); }},
      {"qwen3vlmoe", qwen3vlmoe},
      {"qwen3vl", [] { return Layout{.prefix = "model.language_model."}; }},
      {"mamba2", [] { return backbone(false); }},
      {"nemotron_h", [] { return backbone(false); }},
      {"nemotron_h_moe", [] { return backbone(true); }},
      {"lfm2", lfm2},
      {"lfm2moe", lfm2},
      {"llama4", llama4},
      {"gemma3n", gemma3n},
      {"gemma4", gemma4},
      {"hunyuan-dense", hunyuan},
      {"hunyuan-moe", hunyuan},
      {"ernie4_5-moe", ernie_moe},
      {"minimax-m2", minimax_m2},
      {"falcon", falcon},
      {"opt", opt},
      {"phi2", phi2},
      {"starcoder2",
       [] {
         return Layout{.names = {{"ffn_up.", "mlp.c_fc."}, {"ffn_down.", "mlp.c_proj."}}};
       }},
  };
  const auto found = all.find(name);
  return found == all.end() ? Layout{} : found->second();
}

}  // namespace hearth::test
