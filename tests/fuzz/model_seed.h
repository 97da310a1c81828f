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
  // What Gemma 3n has besides: three layers, of which the last reads the second's cache, inputs of the layers' own, four
  // streams.
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
  std::string bytes() const { return draft_.bytes(); }

 private:
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

}  // namespace hearth::fuzz
