// A chat model of a few kilobytes, written by the test: its tokens are <unk>, <s>, </s>, the 256 bytes, and marks.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "gguf/writer.h"
#include "support/support.h"

namespace hearth::test {

class TinyModel {
 public:
  static constexpr uint32_t kVocabulary = 259, kWidth = 32, kInner = 64;
  // What `run` says of it unless it has a chat template.
  static constexpr const char* kNote = "note: without a chat template, this model goes on with the text it is given\n";
  static constexpr const char* kNeverEnds = "2=-inf";  // logit bias: </s> is not chosen

  uint32_t context = 1 << 20;
  uint32_t layers = 1;
  uint32_t experts = 0;       // in every layer, of which two are used; 0: dense layers
  bool uniform = false;       // every token equally likely
  bool long_rope = false;     // beyond 100 tokens positions are encoded in another way
  std::string chat_template;  // none if empty
  std::vector<std::string> marks;  // control tokens, behind the others

  // Writes it into the folder of this object.
  std::string write(const std::string& name = "tiny.gguf") const {
    gguf::Writer writer;
    writer.set_string("general.architecture", "llama");
    for (const auto& [key, value] : {std::pair("context_length", context),
                                     {"block_count", layers},
                                     {"embedding_length", kWidth},
                                     {"feed_forward_length", kInner},
                                     {"attention.head_count", 2}}) {
      writer.set_u32(fmt::format("llama.{}", key), value);
    }
    if (experts > 0) {
      writer.set_u32("llama.expert_count", experts);
      writer.set_u32("llama.expert_used_count", 2);
    }
    writer.set_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    if (long_rope) writer.set_u32("llama.rope.scaling.original_context_length", 100);
    set_vocabulary(writer);
    if (!chat_template.empty()) writer.set_string("tokenizer.chat_template", chat_template);
    const Tensors tensors = list_tensors();
    for (const auto& [tensor, shape] : tensors) writer.add_tensor(tensor, *quant::find_name("F32"), shape);
    const std::string path = folder_ / name;
    EXPECT_TRUE(writer.begin(path).ok());
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.3f);
    for (const auto& [tensor, shape] : tensors) {
      std::vector<float> values(std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<>()));
      for (float& value : values) value = shape.size() == 1 ? 1 : normal(random);
      if (uniform && tensor == "output.weight") values.assign(values.size(), 0);
      if (tensor == "rope_factors_long.weight") values.assign(values.size(), 2);
      EXPECT_TRUE(writer.write(std::as_bytes(std::span(values))).ok());
    }
    EXPECT_TRUE(writer.finish().ok());
    return path;
  }
  std::string file(const std::string& name) const { return folder_ / name; }  // in the same folder

 private:
  using Tensors = std::vector<std::pair<std::string, std::vector<uint64_t>>>;

  Tensors list_tensors() const {
    Tensors tensors = {{"token_embd.weight", {kWidth, vocabulary()}},
                       {"output_norm.weight", {kWidth}},
                       {"output.weight", {kWidth, vocabulary()}}};
    for (const char* name : {"rope_factors_short.weight", "rope_factors_long.weight"})
      if (long_rope) tensors.push_back({name, {kWidth / 4}});
    for (uint32_t i = 0; i < layers; ++i) {
      const auto add = [&](const char* name, std::vector<uint64_t> shape) {
        tensors.emplace_back(fmt::format("blk.{}.{}.weight", i, name), std::move(shape));
      };
      add("attn_norm", {kWidth});
      for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) add(name, {kWidth, kWidth});
      add("ffn_norm", {kWidth});
      if (experts > 0) {
        add("ffn_gate_inp", {kWidth, experts});
        add("ffn_gate_exps", {kWidth, kInner, experts});
        add("ffn_up_exps", {kWidth, kInner, experts});
        add("ffn_down_exps", {kInner, kWidth, experts});
      } else {
        add("ffn_gate", {kWidth, kInner});
        add("ffn_up", {kWidth, kInner});
        add("ffn_down", {kInner, kWidth});
      }
    }
    return tensors;
  }

  uint64_t vocabulary() const { return kVocabulary + marks.size(); }

  void set_vocabulary(gguf::Writer& writer) const {
    std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
    std::vector<int32_t> types = {2, 3, 3};  // unknown, control, control; then bytes
    for (int byte = 0; byte < 256; ++byte) {
      texts.push_back(fmt::format("<0x{:02X}>", byte));
      types.push_back(6);
    }
    for (const std::string& mark : marks) {
      texts.push_back(mark);
      types.push_back(3);
    }
    const std::vector<float> scores(vocabulary(), 0);
    writer.set_string("tokenizer.ggml.model", "llama");
    writer.set_strings("tokenizer.ggml.tokens", {texts.begin(), texts.end()});
    writer.set("tokenizer.ggml.scores", gguf::Value::numbers(gguf::Type::kF32, std::as_bytes(std::span(scores))));
    writer.set("tokenizer.ggml.token_type", gguf::Value::numbers(gguf::Type::kI32, std::as_bytes(std::span(types))));
    writer.set_u32("tokenizer.ggml.bos_token_id", 1);
    writer.set_u32("tokenizer.ggml.eos_token_id", 2);
    writer.set_bool("tokenizer.ggml.add_space_prefix", false);
  }

  TemporaryFolder folder_;
};

}  // namespace hearth::test
