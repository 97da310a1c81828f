// make_shape NAME[:LAYERS] TYPE OUT.gguf: a model of a real shape with random weights, for measurements: the text is
// noise; sizes, formats per tensor and speed are those of the real model, or of its first LAYERS layers. Made at the
// speed of the disk: a matrix repeats the same encoded rows.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "gguf/quantization_recipe.h"
#include "gguf/writer.h"

namespace {

using namespace hearth;

// Of experts and of latent attention; zeros: a model without.
struct Experts {
  uint32_t count = 0, used = 0, feed_forward = 0, shared = 0, dense_layers = 0;
};
struct Latent {
  uint32_t rank = 0, rope = 0;  // heads have keys of head + rope numbers
};

// Dimensions from the models' published configurations.
struct Shape {
  const char* name;
  const char* architecture;
  uint32_t layers, width, feed_forward, heads, kv_heads, head, vocabulary, context;
  float rope_base;
  Experts experts = {};
  Latent latent = {};
  uint32_t window = 0;  // in every other layer
};
constexpr Shape kShapes[] = {
    {"tiny", "llama", 2, 256, 512, 4, 2, 64, 512, 131072, 1e4f},  // of no model: for trying
    {"qwen2.5-0.5b", "qwen2", 24, 896, 4864, 14, 2, 64, 151936, 32768, 1e6f},
    {"tinyllama-1.1b", "llama", 22, 2048, 5632, 32, 4, 64, 32000, 2048, 1e4f},
    {"llama-3.2-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, 131072, 5e5f},
    {"llama-3.2-3b", "llama", 28, 3072, 8192, 24, 8, 128, 128256, 131072, 5e5f},
    {"qwen2.5-7b", "qwen2", 28, 3584, 18944, 28, 4, 128, 152064, 32768, 1e6f},
    {"mistral-7b", "llama", 32, 4096, 14336, 32, 8, 128, 32000, 32768, 1e4f},
    {"llama-3.1-8b", "llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 5e5f},
    {"deepseek-coder-v2-lite",
     "deepseek2",
     27,
     2048,
     10944,
     16,
     16,
     128,
     102400,
     163840,
     1e4f,
     {64, 6, 1408, 2, 1},
     {512, 64}},
    {"qwen3-30b-a3b", "qwen3moe", 48, 2048, 6144, 32, 4, 128, 151936, 32768, 1e6f, {128, 8, 768, 0, 0}},
    {"gpt-oss-20b", "gpt-oss", 24, 2880, 2880, 64, 8, 64, 201088, 131072, 1.5e5f, {32, 4, 2880, 0, 0}, {}, 128},
};
constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;  // tokenizer.ggml.token_type
constexpr size_t kPattern_rows = 16;                                   // encoded once, then repeated

bool has_own_output(const Shape& shape) {
  return std::string_view(shape.name) != "qwen2.5-0.5b" && !std::string_view(shape.name).starts_with("llama-3.2");
}

void describe_tokens(const Shape& shape, gguf::Writer* writer) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {kUnknown, kControl, kControl};
  for (int byte = 0; byte < 256; ++byte) texts.push_back(fmt::format("<0x{:02X}>", byte));
  types.resize(texts.size(), kByte);
  while (texts.size() < shape.vocabulary) texts.push_back(fmt::format("\xe2\x96\x81w{}", texts.size()));
  types.resize(texts.size(), kNormal);
  const std::vector<float> scores(texts.size(), 0);
  writer->set_string("tokenizer.ggml.model", "llama");
  writer->set_strings("tokenizer.ggml.tokens", {texts.begin(), texts.end()});
  writer->set("tokenizer.ggml.scores", gguf::Value::numbers(gguf::Type::kF32, std::as_bytes(std::span(scores))));
  writer->set("tokenizer.ggml.token_type", gguf::Value::numbers(gguf::Type::kI32, std::as_bytes(std::span(types))));
  writer->set_u32("tokenizer.ggml.unknown_token_id", 0);
  writer->set_u32("tokenizer.ggml.bos_token_id", 1);
  writer->set_u32("tokenizer.ggml.eos_token_id", 2);
}

void describe_experts(const Shape& shape, gguf::Writer* writer) {
  const auto key = [&](const char* name, uint32_t value) {
    if (value != 0) writer->set_u32(fmt::format("{}.{}", shape.architecture, name), value);
  };
  key("expert_count", shape.experts.count);
  key("expert_used_count", shape.experts.used);
  key("expert_feed_forward_length", shape.experts.feed_forward);
  key("expert_shared_count", shape.experts.shared);
  key("leading_dense_block_count", shape.experts.dense_layers);
  key("attention.sliding_window", shape.window);
  key("attention.key_length", shape.head + shape.latent.rope);
  key("attention.value_length", shape.head);
  key("attention.kv_lora_rank", shape.latent.rank);
  if (shape.latent.rank != 0) writer->set_f32(fmt::format("{}.expert_weights_scale", shape.architecture), 1);
}

void describe(const Shape& shape, const gguf::QuantizationRecipe& recipe, gguf::Writer* writer) {
  writer->set_string("general.architecture", shape.architecture);
  writer->set_string("general.name", fmt::format("{} shape, random weights", shape.name));
  writer->set_u32("general.file_type", recipe.file_type);
  const auto key = [&](const char* name, uint32_t value) {
    writer->set_u32(fmt::format("{}.{}", shape.architecture, name), value);
  };
  key("context_length", shape.context);
  key("embedding_length", shape.width);
  key("block_count", shape.layers);
  key("feed_forward_length", shape.feed_forward);
  key("attention.head_count", shape.heads);
  key("attention.head_count_kv", shape.kv_heads);
  key("rope.dimension_count", shape.latent.rank != 0 ? shape.latent.rope : shape.head);
  if (shape.experts.count != 0) describe_experts(shape, writer);
  key("vocab_size", shape.vocabulary);
  writer->set_f32(fmt::format("{}.rope.freq_base", shape.architecture), shape.rope_base);
  writer->set_f32(fmt::format("{}.attention.layer_norm_rms_epsilon", shape.architecture), 1e-5f);
  describe_tokens(shape, writer);
}

gguf::Tensor tensor(std::string name, uint64_t columns, uint64_t rows, uint64_t count = 1) {
  gguf::Tensor tensor{};
  tensor.name = std::move(name);
  tensor.dimensions = count > 1 ? 3 : rows > 1 ? 2 : 1;
  tensor.shape = {columns, rows, count, 1};
  return tensor;
}

using Add = std::function<void(const char* name, uint64_t columns, uint64_t rows, uint64_t count)>;

void add_attention(const Shape& shape, const Add& add) {
  const uint64_t width = shape.width, q = uint64_t{shape.heads} * shape.head,
                 kv = uint64_t{shape.kv_heads} * shape.head;
  if (shape.latent.rank != 0) {
    add("attn_q.weight", width, uint64_t{shape.heads} * (shape.head + shape.latent.rope), 1);
    add("attn_kv_a_mqa.weight", width, shape.latent.rank + shape.latent.rope, 1);
    add("attn_kv_a_norm.weight", shape.latent.rank, 1, 1);
    add("attn_kv_b.weight", shape.latent.rank, 2 * q, 1);
    return;
  }
  add("attn_q.weight", width, q, 1);
  add("attn_k.weight", width, kv, 1);
  add("attn_v.weight", width, kv, 1);
  const std::string_view architecture = shape.architecture;
  if (architecture == "qwen2" || architecture == "gpt-oss") {
    add("attn_q.bias", q, 1, 1);
    add("attn_k.bias", kv, 1, 1);
    add("attn_v.bias", kv, 1, 1);
  }
  if (architecture == "qwen3moe") {
    add("attn_q_norm.weight", shape.head, 1, 1);
    add("attn_k_norm.weight", shape.head, 1, 1);
  }
  if (architecture != "gpt-oss") return;
  add("attn_output.bias", width, 1, 1);
  add("attn_sinks.weight", shape.heads, 1, 1);
}

void add_feed_forward(const Shape& shape, uint32_t layer, const Add& add) {
  const uint64_t width = shape.width, inner = shape.feed_forward;
  const Experts& experts = shape.experts;
  if (layer < experts.dense_layers || experts.count == 0) {
    add("ffn_gate.weight", width, inner, 1);
    add("ffn_up.weight", width, inner, 1);
    add("ffn_down.weight", inner, width, 1);
    return;
  }
  add("ffn_gate_inp.weight", width, experts.count, 1);
  add("ffn_gate_exps.weight", width, experts.feed_forward, experts.count);
  add("ffn_up_exps.weight", width, experts.feed_forward, experts.count);
  add("ffn_down_exps.weight", experts.feed_forward, width, experts.count);
  if (shape.architecture == std::string_view("gpt-oss")) {
    add("ffn_gate_inp.bias", experts.count, 1, 1);
    add("ffn_gate_exps.bias", experts.feed_forward, experts.count, 1);
    add("ffn_up_exps.bias", experts.feed_forward, experts.count, 1);
    add("ffn_down_exps.bias", width, experts.count, 1);
  }
  if (experts.shared == 0) return;
  const uint64_t together = uint64_t{experts.shared} * experts.feed_forward;
  add("ffn_gate_shexp.weight", width, together, 1);
  add("ffn_up_shexp.weight", width, together, 1);
  add("ffn_down_shexp.weight", together, width, 1);
}

std::vector<gguf::Tensor> tensors_of(const Shape& shape) {
  const uint64_t width = shape.width;
  std::vector<gguf::Tensor> all = {tensor("token_embd.weight", width, shape.vocabulary)};
  for (uint32_t i = 0; i < shape.layers; ++i) {
    const Add add = [&](const char* name, uint64_t columns, uint64_t rows, uint64_t count) {
      all.push_back(tensor(fmt::format("blk.{}.{}", i, name), columns, rows, count));
    };
    add("attn_norm.weight", width, 1, 1);
    add_attention(shape, add);
    add("attn_output.weight", uint64_t{shape.heads} * shape.head, width, 1);
    add(shape.architecture == std::string_view("gpt-oss") ? "post_attention_norm.weight" : "ffn_norm.weight", width, 1,
        1);
    add_feed_forward(shape, i, add);
  }
  all.push_back(tensor("output_norm.weight", width, 1));
  if (has_own_output(shape)) all.push_back(tensor("output.weight", width, shape.vocabulary));
  return all;
}

// Random rows as a real matrix has them: values that keep the variance of what they are multiplied with.
std::vector<uint8_t> encoded_rows(const gguf::Tensor& tensor, std::mt19937& random) {
  const size_t columns = tensor.shape[0], rows = std::min<size_t>(tensor.shape[1], kPattern_rows);
  const bool bias = tensor.name.ends_with(".bias"), norm = tensor.dimensions == 1 && !bias;
  std::normal_distribution<float> normal(norm ? 1.0f : 0.0f,
                                         tensor.dimensions == 1 ? 0.1f : 1 / std::sqrt(static_cast<float>(columns)));
  std::vector<float> values(columns * rows);
  for (float& value : values) value = normal(random);
  std::vector<uint8_t> out(tensor.format->bytes(values.size()));
  tensor.format->encode(values.data(), values.size(), nullptr, out.data());
  return out;
}

Status write_tensor(const gguf::Tensor& tensor, std::mt19937& random, gguf::Writer* writer) {
  const std::vector<uint8_t> rows = encoded_rows(tensor, random);
  for (uint64_t left = tensor.format->bytes(tensor.values()); left > 0;) {
    const size_t part = std::min<uint64_t>(left, rows.size());
    TRY(writer->write(std::as_bytes(std::span(rows)).first(part)));
    left -= part;
  }
  return {};
}

Status make(const Shape& shape, const gguf::QuantizationRecipe& recipe, const std::string& path) {
  gguf::Writer writer;
  describe(shape, recipe, &writer);
  const gguf::ModelProperties properties{.layers = shape.layers,
                                         .queries_per_value = shape.heads / shape.kv_heads,
                                         .experts = shape.experts.count,
                                         .has_output = has_own_output(shape)};
  std::vector<gguf::Tensor> tensors = tensors_of(shape);
  for (gguf::Tensor& tensor : tensors) {
    tensor.format =
        gguf::is_quantised(tensor) ? gguf::choose_format(recipe, properties, tensor).format : quant::find_name("F32");
    if (tensor.format->encode == nullptr) return error(ErrorKind::kUnsupported, "{} cannot be written", recipe.name);
    writer.add_tensor(tensor.name, *tensor.format,
                      std::span(tensor.shape).first(static_cast<size_t>(tensor.dimensions)));
  }
  TRY(writer.begin(path));
  std::mt19937 random(1);
  for (const gguf::Tensor& tensor : tensors) TRY(write_tensor(tensor, random, &writer));
  return writer.finish();
}

Status run(std::span<char*> args) {
  if (args.size() != 4) return error(ErrorKind::kUsage, "usage: make_shape NAME[:LAYERS] TYPE OUT.gguf");
  const std::string_view wanted = args[1], name = wanted.substr(0, wanted.find(':'));
  const auto* shape =
      std::find_if(std::begin(kShapes), std::end(kShapes), [&](const Shape& known) { return name == known.name; });
  if (shape == std::end(kShapes)) {
    std::string names;
    for (const Shape& known : kShapes) names += fmt::format(" {}", known.name);
    return error(ErrorKind::kUsage, "unknown shape '{}'; known:{}", name, names);
  }
  Shape scaled = *shape;
  if (name.size() < wanted.size()) {
    const std::string_view layers = wanted.substr(name.size() + 1);
    const auto [end, bad] = std::from_chars(layers.data(), layers.data() + layers.size(), scaled.layers);
    if (bad != std::errc() || end != layers.data() + layers.size() || scaled.layers == 0 ||
        scaled.layers > shape->layers)
      return error(ErrorKind::kUsage, "{} layers: {} has 1 to {}", layers, name, shape->layers);
  }
  ASSIGN_OR_RETURN(const gguf::QuantizationRecipe recipe, gguf::find_recipe(args[2]));
  return make(scaled, recipe, args[3]);
}

}  // namespace

int main(int argc, char** argv) {
  const Status status = run({argv, static_cast<size_t>(argc)});
  if (status) return 0;
  fmt::print(stderr, "make_shape: {}\n", status.error().message);
  return status.error().kind == ErrorKind::kUsage ? 2 : 1;
}
