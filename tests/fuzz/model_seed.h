// A small whole model, which a fuzzer spoils.
#pragma once

#include <string>
#include <vector>

#include "gguf/draft.h"
#include "quant/format.h"

namespace hearth::fuzz {

// One layer, 32 wide, 3 tokens: tensors of float32 whose numbers are small, or of Q8_0.
class ModelSeed {
 public:
  explicit ModelSeed(const std::string& architecture, uint32_t matrix_type = 0)
      : prefix_(architecture + "."), matrix_type_(matrix_type) {
    draft_.metadata = {{"general.architecture", gguf::test::string_value(architecture)}};
    draft_.tensors.clear();
    for (const auto& [key, value] : {std::pair("context_length", 64u),
                                     {"block_count", 1u},
                                     {"embedding_length", 32u},
                                     {"feed_forward_length", 32u},
                                     {"attention.head_count", 4u},
                                     {"attention.head_count_kv", 2u},
                                     {"attention.sliding_window", 16u}})
      set(key, value);
    for (const char* key : {"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"})
      draft_.metadata.push_back({prefix_ + key, gguf::test::value_of<float>(6, 1e-5f)});
    draft_.metadata.push_back(
        {"tokenizer.chat_template", gguf::test::string_value("{{'<|im_start|>' + message.role}}")});
    add_tensors();
  }
  void set(const std::string& key, uint32_t value) {
    std::erase_if(draft_.metadata, [&](const auto& entry) { return entry.first == prefix_ + key; });
    draft_.metadata.push_back({prefix_ + key, gguf::test::value_of<uint32_t>(4, value)});
  }
  void set(const std::string& key, const std::string& value) {
    draft_.metadata.push_back({prefix_ + key, gguf::test::string_value(value)});
  }
  void add(const std::string& name, std::vector<uint64_t> shape) {
    uint64_t values = 1;
    for (const uint64_t n : shape) values *= n;
    const uint32_t type = shape.size() == 1 ? 0 : matrix_type_;
    const quant::Format& format = *quant::find_type(type);
    if (values % format.block_values != 0) return;
    std::vector<float> numbers(values);
    for (size_t i = 0; i < values; ++i) numbers[i] = static_cast<float>(1 + i * 37 % 64) / 64;
    const uint64_t bytes = format.bytes(values);
    draft_.data.resize(offset_ + bytes);
    format.encode(numbers.data(), values, nullptr, reinterpret_cast<uint8_t*>(draft_.data.data()) + offset_);
    draft_.tensors.push_back({name, std::move(shape), type, offset_, bytes});
    offset_ += (bytes + 31) / 32 * 32;
  }
  // What Gemma 3n has besides: three layers, of which the last reads the second's cache, inputs of the layers' own,
  // four streams.
  void add_gemma() {
    constexpr uint32_t kLayers = 3, kInputs = 32;
    set("block_count", kLayers);
    set("attention.shared_kv_layers", 1);
    set("embedding_length_per_layer_input", kInputs);
    add("per_layer_token_embd.weight", {kLayers * kInputs, 3});
    add("per_layer_model_proj.weight", {32, kLayers * kInputs});
    add("per_layer_proj_norm.weight", {kInputs});
    for (const char* name : {"altup_proj.weight", "altup_unembd_proj.weight"}) add(name, {32, 32, 3});
    for (uint32_t i = 0; i < kLayers; ++i) {
      const std::string block = "blk." + std::to_string(i) + ".";
      if (i != 0) add_layer(block);
      for (const char* norm : {"post_attention_norm", "post_ffw_norm", "post_norm", "altup_router_norm",
                               "laurel_post_norm", "altup_correct_scale"})
        add(block + norm + ".weight", {32});
      for (const char* norm : {"attn_q_norm", "attn_k_norm"}) add(block + norm + ".weight", {8});
      for (const auto& [name, columns, rows] : {std::tuple("inp_gate", 32, kInputs),
                                                {"proj", kInputs, 32},
                                                {"laurel_l", 32, 32},
                                                {"laurel_r", 32, 32},
                                                {"altup_router", 32, 4},
                                                {"altup_predict_coef", 4, 16},
                                                {"altup_correct_coef", 4, 4}})
        add(block + name + ".weight", {static_cast<uint64_t>(columns), static_cast<uint64_t>(rows)});
    }
  }
  void set(const std::string& key, const std::vector<uint32_t>& values) {
    std::string bytes;
    for (const uint32_t value : values) bytes += gguf::test::raw(value);
    unset(key);
    draft_.metadata.push_back({prefix_ + key, gguf::test::array_value(4, values.size(), bytes)});
  }
  void unset(const std::string& key) {
    std::erase_if(draft_.metadata, [&](const auto& entry) { return entry.first == prefix_ + key; });
  }
  void remove(const std::string& begin) {
    std::erase_if(draft_.tensors, [&](const auto& tensor) { return tensor.name.starts_with(begin); });
  }

  // One layer of latent attention.
  void make_latent() {
    for (const auto& [key, value] : {std::pair("attention.kv_lora_rank", 16u),
                                     {"rope.dimension_count", 4u},
                                     {"attention.key_length", 8u},
                                     {"attention.value_length", 8u}})
      set(key, value);
    for (const char* part : {"q", "k", "v", "output"}) remove(std::string("blk.0.attn_") + part + ".");
    add("blk.0.attn_q.weight", {32, 32});
    add("blk.0.attn_kv_a_mqa.weight", {32, 20});
    add("blk.0.attn_kv_a_norm.weight", {16});
    add("blk.0.attn_kv_b.weight", {16, 48});
    add("blk.0.attn_output.weight", {32, 32});
    unset("attention.sliding_window");
  }
  // Blocks of one part each: a scan, attention and (`feed_forward`) a feed-forward without a gate.
  void make_blocks(bool attention, bool feed_forward) {
    remove("blk.");
    set_scan();
    add_scan("blk.0.");
    set("block_count", 1u + attention + feed_forward);
    if (attention) {
      add("blk.1.attn_norm.weight", {32});
      for (const auto& [part, rows] : {std::pair("q", 32), {"k", 16}, {"v", 16}, {"output", 32}})
        add(std::string("blk.1.attn_") + part + ".weight", {32, static_cast<uint64_t>(rows)});
      set("attention.head_count_kv", std::vector<uint32_t>{0, 2, 0});
      set("feed_forward_length", std::vector<uint32_t>{0, 0, 32});
    } else {
      for (const char* key : {"attention.head_count", "attention.head_count_kv", "feed_forward_length"}) set(key, 0u);
    }
    if (!feed_forward) return;
    add("blk.2.attn_norm.weight", {32});
    add("blk.2.ffn_up.weight", {32, 32});
    add("blk.2.ffn_down.weight", {32, 32});
  }
  // A scan and attention, each before a feed-forward.
  void make_hybrid() {
    set_scan();
    for (const char* part : {"q", "k", "v", "output"}) remove(std::string("blk.0.attn_") + part + ".");
    remove("blk.0.attn_norm.");
    add_scan("blk.0.");
    add_layer("blk.1.");
    set("block_count", 2u);
    set("attention.head_count_kv", std::vector<uint32_t>{0, 2});
  }
  // One gated delta net, in the layout with a matrix for betas and alphas, or one for each.
  void make_delta_net(bool separate) {
    set_scan();
    for (const char* part : {"q", "k", "v", "output"}) remove(std::string("blk.0.attn_") + part + ".");
    for (const auto& [name, rows] : {std::pair("attn_qkv", 64), {"attn_gate", 32}, {"ssm_out", 32}})
      add(std::string("blk.0.") + name + ".weight", {32, static_cast<uint64_t>(rows)});
    if (separate)
      for (const char* name : {"ssm_alpha", "ssm_beta"}) add(std::string("blk.0.") + name + ".weight", {32, 4});
    else
      add("blk.0.ssm_ba.weight", {32, 8});
    add("blk.0.ssm_conv1d.weight", {3, 64});
    add("blk.0.ssm_dt.bias", {4});
    add("blk.0.ssm_a", {4});
    add("blk.0.ssm_norm.weight", {8});
  }
  // A short convolution, then attention.
  void make_convolution() {
    set("shortconv.l_cache", 3u);
    set("block_count", 2u);
    set("attention.head_count_kv", std::vector<uint32_t>{0, 2});
    for (const char* part : {"q", "k", "v", "output"}) remove(std::string("blk.0.attn_") + part + ".");
    add("blk.0.shortconv.in_proj.weight", {32, 96});
    add("blk.0.shortconv.conv.weight", {3, 32});
    add("blk.0.shortconv.out_proj.weight", {32, 32});
    add_layer("blk.1.");
    for (const char* norm : {"q", "k"}) add(std::string("blk.1.attn_") + norm + "_norm.weight", {8});
    unset("attention.sliding_window");
  }
  // Two experts, of which one is used; with `biases` what gpt-oss has besides.
  void use_experts(bool biases) {
    set("expert_count", 2u);
    set("expert_used_count", 1u);
    for (const char* part : {"gate", "up", "down"}) {
      remove(std::string("blk.0.ffn_") + part + ".");
      add(std::string("blk.0.ffn_") + part + "_exps.weight", {32, 32, 2});
      if (biases) add(std::string("blk.0.ffn_") + part + "_exps.bias", {32, 2});
    }
    add("blk.0.ffn_gate_inp.weight", {32, 2});
    if (!biases) return unset("attention.sliding_window");
    add("blk.0.ffn_gate_inp.bias", {2});
    add("blk.0.attn_sinks.weight", {4});
  }
  // Learned positions, and no gate.
  void make_old() {
    remove("blk.0.ffn_gate.");
    add("position_embd.weight", {32, 64});
    unset("attention.sliding_window");
  }

  std::string bytes() const { return draft_.bytes(); }

 private:
  void set_scan() {
    for (const auto& [key, value] : {std::pair("conv_kernel", 3u),
                                     {"inner_size", 32u},
                                     {"state_size", 8u},
                                     {"group_count", 2u},
                                     {"time_step_rank", 4u}})
      set(std::string("ssm.") + key, value);
    unset("attention.sliding_window");
  }
  void add_scan(const std::string& block) {
    add(block + "attn_norm.weight", {32});
    add(block + "ssm_in.weight", {32, 100});
    add(block + "ssm_conv1d.weight", {3, 64});
    add(block + "ssm_dt.bias", {4});
    for (const char* name : {"ssm_a", "ssm_d"}) add(block + name, {1, 4});
    add(block + "ssm_norm.weight", {16, 2});
    add(block + "ssm_out.weight", {32, 32});
  }
  void add_tensors() {
    add("token_embd.weight", {32, 3});
    add("output_norm.weight", {32});
    add_layer("blk.0.");
  }
  void add_layer(const std::string& block) {
    for (const char* norm : {"attn_norm", "ffn_norm"}) add(block + norm + ".weight", {32});
    for (const auto& [part, rows] : {std::pair("attn_q", 32),
                                     {"attn_k", 16},
                                     {"attn_v", 16},
                                     {"attn_output", 32},
                                     {"ffn_gate", 32},
                                     {"ffn_up", 32}})
      add(block + part + ".weight", {32, static_cast<uint64_t>(rows)});
    add(block + "ffn_down.weight", {32, 32});
  }

  std::string prefix_;
  uint32_t matrix_type_;
  gguf::test::Draft draft_;
  uint64_t offset_ = 0;
};

// A whole model of each kind.
inline std::vector<ModelSeed> whole_models() {
  std::vector<ModelSeed> all;
  const auto add = [&](const char* architecture, auto make) {
    all.emplace_back(architecture);
    make(all.back());
  };
  add("llama", [](ModelSeed&) {});
  add("gemma3n", [](ModelSeed& seed) { seed.add_gemma(); });
  add("deepseek2", [](ModelSeed& seed) { seed.make_latent(); });
  add("mamba2", [](ModelSeed& seed) { seed.make_blocks(false, false); });
  add("nemotron_h", [](ModelSeed& seed) { seed.make_blocks(true, true); });
  add("granitehybrid", [](ModelSeed& seed) { seed.make_hybrid(); });
  add("qwen3next", [](ModelSeed& seed) { seed.make_delta_net(false); });
  add("qwen35", [](ModelSeed& seed) { seed.make_delta_net(true); });
  add("lfm2", [](ModelSeed& seed) { seed.make_convolution(); });
  add("granitemoe", [](ModelSeed& seed) { seed.use_experts(false); });
  add("gpt-oss", [](ModelSeed& seed) { seed.use_experts(true); });
  add("opt", [](ModelSeed& seed) { seed.make_old(); });
  return all;
}

}  // namespace hearth::fuzz
