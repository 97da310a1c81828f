// A model of a few kilobytes with random weights, to be changed by a test and then written and loaded.
#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <variant>

#include "gguf/file.h"
#include "gguf/writer.h"
#include "support/support.h"

namespace hearth::test {

struct SmallTensor {
  std::string name;
  std::vector<uint64_t> shape;  // innermost first
  std::vector<float> values;
  const char* format = "F32";
};

class SmallModel {
 public:
  static constexpr uint32_t kLayers = 2, kWidth = 64, kHeads = 4, kKv_heads = 2, kHead = 16, kInner = 96,
                            kVocabulary = 50, kContext = 128;

  explicit SmallModel(const std::string& architecture) : prefix_(architecture + ".") {
    keys_["general.architecture"] = architecture;
    set("context_length", kContext);
    set("block_count", kLayers);
    set("embedding_length", kWidth);
    set("feed_forward_length", kInner);
    set("attention.head_count", kHeads);
    set("attention.head_count_kv", kKv_heads);
    set("attention.layer_norm_rms_epsilon", 1e-5f);
    add("token_embd.weight", {kWidth, kVocabulary});
    add("output_norm.weight", {kWidth});
    add("output.weight", {kWidth, kVocabulary});
    for (uint32_t i = 0; i < kLayers; ++i) {
      add(block(i) + "attn_norm.weight", {kWidth});
      add(block(i) + "attn_q.weight", {kWidth, kHeads * kHead});
      add(block(i) + "attn_k.weight", {kWidth, kKv_heads * kHead});
      add(block(i) + "attn_v.weight", {kWidth, kKv_heads * kHead});
      add(block(i) + "attn_output.weight", {kHeads * kHead, kWidth});
      add(block(i) + "ffn_norm.weight", {kWidth});
      add(block(i) + "ffn_gate.weight", {kWidth, kInner});
      add(block(i) + "ffn_up.weight", {kWidth, kInner});
      add(block(i) + "ffn_down.weight", {kInner, kWidth});
    }
  }

  static std::string block(uint32_t layer) { return "blk." + std::to_string(layer) + "."; }

  using Key = std::variant<uint32_t, float, bool, std::string>;
  void set(const std::string& key, Key value) { keys_[prefix_ + key] = std::move(value); }
  void set_architecture(const std::string& name) { keys_["general.architecture"] = name; }
  void unset(const std::string& key) { keys_.erase(prefix_ + key); }

  // Values depend on the name only, so that two models share what they both have.
  SmallTensor& add(const std::string& name, std::vector<uint64_t> shape) {
    uint64_t values = 1;
    for (const uint64_t n : shape) values *= n;
    SmallTensor tensor{name, shape, std::vector<float>(values)};
    std::seed_seq seed(name.begin(), name.end());
    std::mt19937 random(seed);
    const float spread = shape.size() == 1 ? 0.1f : 1 / std::sqrt(static_cast<float>(shape[0]));
    std::normal_distribution<float> normal(name.ends_with("norm.weight") ? 1.0f : 0.0f, spread);
    for (float& value : tensor.values) value = normal(random);
    tensors_.push_back(std::move(tensor));
    return tensors_.back();
  }
  SmallTensor& tensor(const std::string& name) {
    const auto found = std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.name == name; });
    EXPECT_NE(found, tensors_.end()) << name;
    return *found;
  }
  void remove(const std::string& name) {
    std::erase_if(tensors_, [&](const SmallTensor& tensor) { return tensor.name == name; });
  }

  // The norms on query and key heads that Qwen 3 and Gemma 3 have.
  void add_head_norms() {
    for (uint32_t i = 0; i < kLayers; ++i) {
      add(block(i) + "attn_q_norm.weight", {kHead});
      add(block(i) + "attn_k_norm.weight", {kHead});
    }
  }

  // Experts, each as wide as the dense feed-forward, in its place.
  void use_experts(uint32_t experts, uint32_t used) {
    set("expert_count", experts);
    set("expert_used_count", used);
    for (uint32_t i = 0; i < kLayers; ++i) {
      for (const char* part : {"gate", "up", "down"}) remove(block(i) + "ffn_" + part + ".weight");
      add(block(i) + "ffn_gate_inp.weight", {kWidth, experts});
      add(block(i) + "ffn_gate_exps.weight", {kWidth, kInner, experts});
      add(block(i) + "ffn_up_exps.weight", {kWidth, kInner, experts});
      add(block(i) + "ffn_down_exps.weight", {kInner, kWidth, experts});
    }
  }

  // One that every token uses beside them, as wide.
  void add_shared_expert() {
    set("expert_shared_count", 1u);
    for (uint32_t i = 0; i < kLayers; ++i) {
      for (const char* part : {"ffn_gate_shexp", "ffn_up_shexp"}) add(block(i) + part + ".weight", {kWidth, kInner});
      add(block(i) + "ffn_down_shexp.weight", {kInner, kWidth});
    }
  }

  // A tensor for every expert, as files made before April 2024 have them, the parts of one expert side by side.
  void separate_experts() {
    constexpr std::string_view kTogether = "_exps.weight";
    std::vector<SmallTensor> separate;
    for (const SmallTensor& tensor : tensors_) {
      if (!tensor.name.ends_with(kTogether)) continue;
      const std::string name = tensor.name.substr(0, tensor.name.size() - kTogether.size());
      const size_t each = tensor.shape[0] * tensor.shape[1];
      for (size_t i = 0; i < tensor.shape[2]; ++i) {
        const auto begin = tensor.values.begin() + static_cast<ptrdiff_t>(i * each);
        separate.push_back({name + "." + std::to_string(i) + ".weight",
                            {tensor.shape[0], tensor.shape[1]},
                            {begin, begin + static_cast<ptrdiff_t>(each)}});
      }
    }
    std::erase_if(tensors_, [&](const SmallTensor& tensor) { return tensor.name.ends_with(kTogether); });
    const auto number = [](const SmallTensor& tensor) { return tensor.name.substr(tensor.name.find('.', 8)); };
    std::ranges::stable_sort(separate, {}, number);
    tensors_.insert(tensors_.end(), separate.begin(), separate.end());
  }

  std::string path() const { return folder_ / "model.gguf"; }
  std::shared_ptr<const gguf::File> open() const {
    const Status written = write(path());
    EXPECT_TRUE(written.ok()) << written.error().message;
    auto file = gguf::File::open(path());
    EXPECT_TRUE(file.ok()) << file.error().message;
    return *file;
  }

 private:
  Status write(const std::string& path) const {
    gguf::Writer writer;
    for (const auto& [key, value] : keys_) {
      if (const auto* number = std::get_if<uint32_t>(&value)) writer.set_u32(key, *number);
      if (const auto* number = std::get_if<float>(&value)) writer.set_f32(key, *number);
      if (const auto* flag = std::get_if<bool>(&value)) writer.set_bool(key, *flag);
      if (const auto* text = std::get_if<std::string>(&value)) writer.set_string(key, *text);
    }
    for (const SmallTensor& tensor : tensors_)
      writer.add_tensor(tensor.name, *quant::find_name(tensor.format), tensor.shape);
    TRY(writer.begin(path));
    for (const SmallTensor& tensor : tensors_) {
      const quant::Format* format = quant::find_name(tensor.format);
      std::vector<uint8_t> bytes(format->bytes(tensor.values.size()));
      format->encode(tensor.values.data(), tensor.values.size(), nullptr, bytes.data());
      TRY(writer.write(std::as_bytes(std::span(bytes))));
    }
    return writer.finish();
  }

  std::string prefix_;
  std::map<std::string, Key> keys_;
  std::vector<SmallTensor> tensors_;
  TemporaryFolder folder_;
};

}  // namespace hearth::test
