// make_shape NAME[:LAYERS] TYPE OUT.gguf: a model of a real shape with random weights, for measurements: the text is
// noise; sizes, formats per tensor and speed are those of the real model, or of its first LAYERS layers. Made at the
// speed of the disk: a matrix repeats the same encoded rows. llava-1.5-7b-encoder is a file of its own beside a model.
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
// Of layers that keep a state: scans, delta nets or (without heads) short convolutions.
struct Recurrent {
  uint32_t taps = 0, heads = 0, groups = 0, state = 0, value = 0;
  uint32_t every = 0, first = 0;  // which layers attend instead: first, first + every, ...

  uint32_t inner() const { return heads * value; }
  uint32_t channels() const { return inner() + 2 * groups * state; }
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
  Recurrent recurrent = {};
  uint32_t rotated = 0;  // numbers of a head; 0: all
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
    {"glm-4.5-air", "glm4moe", 46, 4096, 10944, 96, 8, 128, 151552, 131072, 1e6f, {128, 8, 1408, 1, 1}, {}, 0, {}, 64},
    {"llama-4-scout", "llama4", 48, 5120, 16384, 40, 8, 128, 202048, 10485760, 5e5f, {16, 1, 8192, 1, 0}},
    {"lfm2-8b-a1b",
     "lfm2moe",
     24,
     2048,
     7168,
     32,
     8,
     64,
     65536,
     128000,
     1e6f,
     {32, 4, 1792, 0, 2},
     {},
     0,
     {.taps = 3, .every = 4, .first = 2}},
    {"granite-4.0-h-tiny",
     "granitehybrid",
     40,
     1536,
     512,
     12,
     4,
     128,
     100352,
     131072,
     1e4f,
     {64, 6, 512, 2, 0},
     {},
     0,
     {.taps = 4, .heads = 48, .groups = 1, .state = 128, .value = 64, .every = 10, .first = 5}},
    {"qwen3-next-80b-a3b",
     "qwen3next",
     48,
     2048,
     5120,
     16,
     2,
     256,
     151936,
     262144,
     1e7f,
     {512, 10, 512, 1, 0},
     {},
     0,
     {.taps = 4, .heads = 32, .groups = 16, .state = 128, .value = 128, .every = 4, .first = 3},
     64},
    {"mamba2-2.7b",
     "mamba2",
     64,
     2560,
     0,
     0,
     0,
     0,
     50288,
     1048576,
     1e4f,
     {},
     {},
     0,
     {.taps = 4, .heads = 80, .groups = 1, .state = 128, .value = 64}},
};
constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;  // tokenizer.ggml.token_type
constexpr size_t kPattern_rows = 16;                                   // encoded once, then repeated

bool has_own_output(const Shape& shape) {
  const std::string_view name = shape.name, architecture = shape.architecture;
  for (const char* tied : {"lfm2moe", "granitehybrid", "mamba2"})
    if (architecture == tied) return false;
  return name != "qwen2.5-0.5b" && !name.starts_with("llama-3.2");
}

bool attends(const Shape& shape, uint32_t layer) {
  const Recurrent& recurrent = shape.recurrent;
  if (recurrent.taps == 0) return true;
  return recurrent.every != 0 && layer % recurrent.every == recurrent.first;
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
  constexpr uint32_t kSigmoid = 2;
  const std::string_view architecture = shape.architecture;
  if (architecture == "glm4moe" || architecture == "lfm2moe") key("expert_gating_func", kSigmoid);
  if (architecture == "qwen3next" || architecture == "granitehybrid") {  // by width, not by count
    key("expert_shared_feed_forward_length", shape.experts.shared * shape.experts.feed_forward);
  }
}

void describe_states(const Shape& shape, gguf::Writer* writer) {
  const Recurrent& recurrent = shape.recurrent;
  const auto name = [&](const char* key) { return fmt::format("{}.{}", shape.architecture, key); };
  if (recurrent.heads == 0) {
    writer->set_u32(name("shortconv.l_cache"), recurrent.taps);
  } else {
    writer->set_u32(name("ssm.conv_kernel"), recurrent.taps);
    writer->set_u32(name("ssm.inner_size"), recurrent.inner());
    writer->set_u32(name("ssm.state_size"), recurrent.state);
    writer->set_u32(name("ssm.group_count"), recurrent.groups);
    writer->set_u32(name("ssm.time_step_rank"), recurrent.heads);
  }
  if (shape.kv_heads == 0) return;
  if (shape.architecture == std::string_view("qwen3next"))
    return writer->set_u32(name("full_attention_interval"), recurrent.every);
  std::vector<uint32_t> kv_heads;
  for (uint32_t i = 0; i < shape.layers; ++i) kv_heads.push_back(attends(shape, i) ? shape.kv_heads : 0);
  writer->set(name("attention.head_count_kv"),
              gguf::Value::numbers(gguf::Type::kU32, std::as_bytes(std::span(kv_heads))));
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
  key("rope.dimension_count", shape.latent.rank != 0 ? shape.latent.rope
                              : shape.rotated != 0   ? shape.rotated
                                                     : shape.head);
  if (shape.experts.count != 0) describe_experts(shape, writer);
  if (shape.recurrent.taps != 0) describe_states(shape, writer);
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

void add_state(const Shape& shape, const Add& add) {
  const uint64_t width = shape.width, taps = shape.recurrent.taps, channels = shape.recurrent.channels(),
                 inner = shape.recurrent.inner(), heads = shape.recurrent.heads, groups = shape.recurrent.groups;
  if (heads == 0) {
    add("shortconv.in_proj.weight", width, 3 * width, 1);
    add("shortconv.conv.weight", taps, width, 1);
    return add("shortconv.out_proj.weight", width, width, 1);
  }
  add("ssm_conv1d.weight", taps, channels, 1);
  add("ssm_dt.bias", heads, 1, 1);
  add("ssm_out.weight", inner, width, 1);
  if (shape.architecture == std::string_view("qwen3next")) {
    add("attn_qkv.weight", width, channels, 1);
    add("attn_gate.weight", width, inner, 1);
    add("ssm_ba.weight", width, 2 * heads, 1);
    add("ssm_a", heads, 1, 1);
    return add("ssm_norm.weight", shape.recurrent.value, 1, 1);
  }
  add("ssm_in.weight", width, inner + channels + heads, 1);
  add("ssm_conv1d.bias", channels, 1, 1);
  add("ssm_a", 1, heads, 1);
  add("ssm_d", 1, heads, 1);
  add("ssm_norm.weight", inner / groups, groups, 1);
}

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
  const std::string_view architecture = shape.architecture;
  add("attn_q.weight", width, architecture == "qwen3next" ? 2 * q : q, 1);  // with a gate
  add("attn_k.weight", width, kv, 1);
  add("attn_v.weight", width, kv, 1);
  if (architecture == "qwen2" || architecture == "gpt-oss" || architecture == "glm4moe") {
    add("attn_q.bias", q, 1, 1);
    add("attn_k.bias", kv, 1, 1);
    add("attn_v.bias", kv, 1, 1);
  }
  if (architecture == "qwen3moe" || architecture == "qwen3next" || architecture == "lfm2moe") {
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
  if (shape.architecture == std::string_view("glm4moe") || shape.architecture == std::string_view("lfm2moe"))
    add("exp_probs_b.bias", experts.count, 1, 1);
  if (shape.architecture == std::string_view("qwen3next")) add("ffn_gate_inp_shexp.weight", width, 1, 1);
  if (experts.shared == 0) return;
  const uint64_t together = uint64_t{experts.shared} * experts.feed_forward;
  add("ffn_gate_shexp.weight", width, together, 1);
  add("ffn_up_shexp.weight", width, together, 1);
  add("ffn_down_shexp.weight", together, width, 1);
}

// Some families name it after where it stands.
const char* feed_forward_norm(const Shape& shape) {
  for (const char* architecture : {"gpt-oss", "glm4moe", "qwen3next"})
    if (shape.architecture == std::string_view(architecture)) return "post_attention_norm.weight";
  return "ffn_norm.weight";
}

std::vector<gguf::Tensor> tensors_of(const Shape& shape) {
  const uint64_t width = shape.width;
  std::vector<gguf::Tensor> all = {tensor("token_embd.weight", width, shape.vocabulary)};
  for (uint32_t i = 0; i < shape.layers; ++i) {
    const Add add = [&](const char* name, uint64_t columns, uint64_t rows, uint64_t count) {
      all.push_back(tensor(fmt::format("blk.{}.{}", i, name), columns, rows, count));
    };
    add("attn_norm.weight", width, 1, 1);
    if (attends(shape, i)) {
      add_attention(shape, add);
      add("attn_output.weight", uint64_t{shape.heads} * shape.head, width, 1);
    } else {
      add_state(shape, add);
    }
    if (shape.feed_forward == 0) continue;
    add(feed_forward_norm(shape), width, 1, 1);
    add_feed_forward(shape, i, add);
  }
  const bool lfm = shape.architecture == std::string_view("lfm2moe");
  all.push_back(tensor(lfm ? "token_embd_norm.weight" : "output_norm.weight", width, 1));
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
  if (tensor.name.ends_with(".ssm_a"))  // states decay
    for (float& value : values) value = -std::exp(value);
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

// The encoder of LLaVA 1.5 7B: CLIP ViT-L/14 of 336 pixels without its last block, and the projector (Liu et al. 2023).
constexpr const char* kEncoder = "llava-1.5-7b-encoder";
struct Encoder {
  uint32_t layers = 23;
  uint64_t width = 1024, feed_forward = 4096, heads = 16, patch = 14, side = 336, out = 4096;
};

void describe(const Encoder& encoder, const gguf::QuantizationRecipe& recipe, gguf::Writer* writer) {
  writer->set_string("general.architecture", "clip");
  writer->set_u32("general.file_type", recipe.file_type);
  writer->set_bool("clip.has_text_encoder", false);
  writer->set_bool("clip.has_vision_encoder", true);
  writer->set_bool("clip.has_llava_projector", true);
  writer->set_string("clip.projector_type", "mlp");
  writer->set_bool("clip.use_gelu", false);
  const auto key = [&](const char* name, uint64_t value) {
    writer->set_u32(fmt::format("clip.vision.{}", name), static_cast<uint32_t>(value));
  };
  key("image_size", encoder.side);
  key("patch_size", encoder.patch);
  key("embedding_length", encoder.width);
  key("feed_forward_length", encoder.feed_forward);
  key("projection_dim", encoder.out);
  key("attention.head_count", encoder.heads);
  key("block_count", encoder.layers);
  writer->set_f32("clip.vision.attention.layer_norm_epsilon", 1e-5f);
  constexpr float kMean[] = {0.48145466f, 0.4578275f, 0.40821073f},
                  kDeviation[] = {0.26862954f, 0.26130258f, 0.27577711f};
  writer->set("clip.vision.image_mean", gguf::Value::numbers(gguf::Type::kF32, std::as_bytes(std::span(kMean))));
  writer->set("clip.vision.image_std", gguf::Value::numbers(gguf::Type::kF32, std::as_bytes(std::span(kDeviation))));
}

std::vector<gguf::Tensor> tensors_of(const Encoder& encoder) {
  const uint64_t width = encoder.width, inner = encoder.feed_forward, side = encoder.side / encoder.patch;
  std::vector<gguf::Tensor> all = {tensor("v.class_embd", width, 1),
                                   tensor("v.position_embd.weight", width, side * side + 1)};
  gguf::Tensor& patches = all.emplace_back(tensor("v.patch_embd.weight", encoder.patch, encoder.patch, 3));
  patches.dimensions = 4;
  patches.shape[3] = width;
  const auto add = [&](const std::string& name, uint64_t columns, uint64_t rows) {
    all.push_back(tensor(name + ".weight", columns, rows));
    all.push_back(tensor(name + ".bias", rows == 1 ? columns : rows, 1));
  };
  add("v.pre_ln", width, 1);
  for (uint32_t i = 0; i < encoder.layers; ++i) {
    const std::string block = fmt::format("v.blk.{}.", i);
    for (const char* norm : {"ln1", "ln2"}) add(block + norm, width, 1);
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_out"}) add(block + part, width, width);
    add(block + "ffn_up", width, inner);
    add(block + "ffn_down", inner, width);
  }
  add("mm.0", width, encoder.out);
  add("mm.2", encoder.out, encoder.out);
  return all;
}

// Declares tensors, whose formats are chosen, and writes them.
Status write_all(std::span<const gguf::Tensor> tensors, const std::string& path, gguf::Writer& writer) {
  for (const gguf::Tensor& tensor : tensors)
    writer.add_tensor(tensor.name, *tensor.format,
                      std::span(tensor.shape).first(static_cast<size_t>(tensor.dimensions)));
  TRY(writer.begin(path));
  std::mt19937 random(1);
  for (const gguf::Tensor& tensor : tensors) TRY(write_tensor(tensor, random, &writer));
  return writer.finish();
}

// Matrices of the blocks and of the projector have the recipe's most common format.
Status make(const Encoder& encoder, const gguf::QuantizationRecipe& recipe, const std::string& path) {
  gguf::Writer writer;
  describe(encoder, recipe, &writer);
  std::vector<gguf::Tensor> tensors = tensors_of(encoder);
  for (gguf::Tensor& tensor : tensors) {
    const bool matrix = tensor.dimensions == 2 && tensor.name.find("position") == std::string::npos;
    tensor.format = matrix ? gguf::choose_format(recipe, {.layers = encoder.layers}, tensor).format
                           : quant::find_name(tensor.dimensions == 4 ? "F16" : "F32");
    if (tensor.format->encode == nullptr) return error(ErrorKind::kUnsupported, "{} cannot be written", recipe.name);
  }
  return write_all(tensors, path, writer);
}

Status make(const Shape& shape, const gguf::QuantizationRecipe& recipe, const std::string& path) {
  gguf::Writer writer;
  describe(shape, recipe, &writer);
  const gguf::ModelProperties properties{.layers = shape.layers,
                                         .queries_per_value = shape.heads / std::max(1u, shape.kv_heads),
                                         .experts = shape.experts.count,
                                         .has_output = has_own_output(shape)};
  std::vector<gguf::Tensor> tensors = tensors_of(shape);
  for (gguf::Tensor& tensor : tensors) {
    tensor.format =
        gguf::is_quantised(tensor) ? gguf::choose_format(recipe, properties, tensor).format : quant::find_name("F32");
    if (tensor.format->encode == nullptr) return error(ErrorKind::kUnsupported, "{} cannot be written", recipe.name);
  }
  return write_all(tensors, path, writer);
}

Status run(std::span<char*> args) {
  if (args.size() != 4) return error(ErrorKind::kUsage, "usage: make_shape NAME[:LAYERS] TYPE OUT.gguf");
  const std::string_view wanted = args[1], name = wanted.substr(0, wanted.find(':'));
  if (wanted == kEncoder) {
    ASSIGN_OR_RETURN(const gguf::QuantizationRecipe recipe, gguf::find_recipe(args[2]));
    return make(Encoder{}, recipe, args[3]);
  }
  const auto* shape =
      std::find_if(std::begin(kShapes), std::end(kShapes), [&](const Shape& known) { return name == known.name; });
  if (shape == std::end(kShapes)) {
    std::string names;
    for (const Shape& known : kShapes) names += fmt::format(" {}", known.name);
    return error(ErrorKind::kUsage, "unknown shape '{}'; known:{} {}", name, names, kEncoder);
  }
  Shape scaled = *shape;
  if (name.size() < wanted.size()) {
    const std::string_view layers = wanted.substr(name.size() + 1);
    const auto [end, bad] = std::from_chars(layers.data(), layers.data() + layers.size(), scaled.layers);
    if (bad != std::errc() || end != layers.data() + layers.size() || scaled.layers == 0 ||
        scaled.layers > shape->layers)
      return error(ErrorKind::kUsage, "{} layers: {} has 1 to {}", layers, name, shape->layers);
  }
  if (scaled.recurrent.every != 0 && scaled.layers <= scaled.recurrent.first)
    return error(ErrorKind::kUsage, "{} attends from layer {} on: at least {} layers", name, scaled.recurrent.first,
                 scaled.recurrent.first + 1);
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
