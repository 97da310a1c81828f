// make_demo OUT.gguf: a model made by hand, not trained, so that `hearth run demo` works on a fresh
// machine before a trained demonstration model exists. It recites one text whatever it is asked.
//
// An associative memory (Hopfield 1982) in the shape of a llama: every token has a random code of +-1 as
// its embedding, and the output row of a token is the code of the token before it in the text. Attention
// and feed-forward run as in any model; their last matrices are zero.
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "gguf/writer.h"

namespace {

using hearth::gguf::Writer;

constexpr uint32_t kWidth = 256, kInner = 512, kLayers = 4, kHeads = 4, kKvHeads = 2, kHead = kWidth / kHeads;
constexpr uint32_t kContext = 1024;
constexpr float kGain = 48;  // logit of the right token; the others' spread is kGain / sqrt(kWidth)
constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;  // tokenizer.ggml.token_type

const std::vector<std::string> kText = {
    " Hello!",      " This is",       " hearth",         ", running",     " a model",     " that its own",
    " build made",  " by hand.",      " It has not",     " been trained", " and knows",   " one text only",
    ": this one.",  " But every",     " word of it",     " went through", " the real",    " engine -",
    " tokenizer, ", "attention over", " a paged",        " cache, ",      "sampling -",   " on your",
    " processor. ", "Give me",        " the path",       " of a GGUF",    " file, or",    " the name of",
    " a model",     " you already",   " have in Ollama", ", and we can",  " really talk."};

struct Vocabulary {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {kUnknown, kControl, kControl};
  uint32_t first_of_text;
};

// SentencePiece writes a space as U+2581.
std::string with_visible_spaces(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == ' ' ? std::string("\xe2\x96\x81") : std::string(1, c);
  return out;
}

Vocabulary make_vocabulary() {
  Vocabulary v;
  char name[8];
  for (int byte = 0; byte < 256; ++byte) {
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    v.texts.push_back(name);
    v.types.push_back(kByte);
  }
  v.first_of_text = static_cast<uint32_t>(v.texts.size());
  for (const std::string& part : kText) {
    std::string text = with_visible_spaces(part);
    for (const std::string& other : v.texts)
      if (other == text) text += "\xe2\x80\x8b";  // zero-width space
    v.texts.push_back(text);
    v.types.push_back(kNormal);
  }
  return v;
}

class Model {
 public:
  Model() : vocabulary_(make_vocabulary()) {}

  hearth::Status write(const std::string& path) {
    describe();
    const uint32_t size = static_cast<uint32_t>(vocabulary_.texts.size());
    add("token_embd.weight", "F16", {kWidth, size}, embedding());
    add("output.weight", "F16", {kWidth, size}, output());
    add("output_norm.weight", "F32", {kWidth}, std::vector<float>(kWidth, 1));
    for (uint32_t i = 0; i < kLayers; ++i) add_layer("blk." + std::to_string(i) + ".");
    TRY(writer_.begin(path));
    for (const auto& data : data_) TRY(writer_.write(std::as_bytes(std::span(data))));
    return writer_.finish();
  }

 private:
  void describe() {
    writer_.set_string("general.architecture", "llama");
    writer_.set_string("general.name", "hearth demo (made by hand)");
    const auto key = [&](const char* name, uint32_t value) { writer_.set_u32(std::string("llama.") + name, value); };
    key("context_length", kContext);
    key("embedding_length", kWidth);
    key("block_count", kLayers);
    key("feed_forward_length", kInner);
    key("attention.head_count", kHeads);
    key("attention.head_count_kv", kKvHeads);
    key("rope.dimension_count", kHead);
    key("vocab_size", static_cast<uint32_t>(vocabulary_.texts.size()));
    writer_.set_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    writer_.set_string("tokenizer.ggml.model", "llama");
    writer_.set_strings("tokenizer.ggml.tokens", {vocabulary_.texts.begin(), vocabulary_.texts.end()});
    const std::vector<float> scores(vocabulary_.texts.size(), 0);
    writer_.set("tokenizer.ggml.scores",
                hearth::gguf::Value::numbers(hearth::gguf::Type::kF32, std::as_bytes(std::span(scores))));
    writer_.set("tokenizer.ggml.token_type",
                hearth::gguf::Value::numbers(hearth::gguf::Type::kI32, std::as_bytes(std::span(vocabulary_.types))));
    writer_.set_u32("tokenizer.ggml.unknown_token_id", 0);
    writer_.set_u32("tokenizer.ggml.bos_token_id", 1);
    writer_.set_u32("tokenizer.ggml.eos_token_id", 2);
    writer_.set_bool("tokenizer.ggml.add_bos_token", true);
    writer_.set_bool("tokenizer.ggml.add_space_prefix", false);
  }

  // The code of a token; what a user may type (and the control tokens) shares one.
  std::vector<float> code(uint32_t token) const {
    std::mt19937 random(token < vocabulary_.first_of_text ? 1u : token);
    std::vector<float> values(kWidth);
    for (float& value : values) value = (random() >> 16 & 1) != 0 ? 1.0f : -1.0f;
    return values;
  }
  std::vector<float> embedding() const {
    std::vector<float> all;
    for (uint32_t token = 0; token < vocabulary_.texts.size(); ++token) {
      const std::vector<float> row = code(token);
      all.insert(all.end(), row.begin(), row.end());
    }
    return all;
  }
  std::vector<float> output() const {
    std::vector<float> all(vocabulary_.texts.size() * kWidth, 0);
    const auto follow = [&](uint32_t before, uint32_t after) {
      const std::vector<float> row = code(before);
      for (uint32_t i = 0; i < kWidth; ++i) all[after * kWidth + i] = row[i] * kGain / kWidth;
    };
    const uint32_t first = vocabulary_.first_of_text, end = static_cast<uint32_t>(vocabulary_.texts.size());
    follow(0, first);
    for (uint32_t token = first; token + 1 < end; ++token) follow(token, token + 1);
    follow(end - 1, 2);
    return all;
  }
  std::vector<float> random_matrix(uint32_t columns, uint32_t rows) {
    std::vector<float> values(size_t{columns} * rows);
    for (float& value : values) value = static_cast<float>(static_cast<int>(random_() >> 16) % 2001 - 1000) * 1e-4f;
    return values;
  }

  void add_layer(const std::string& prefix) {
    const auto zero = [](uint32_t columns, uint32_t rows) { return std::vector<float>(size_t{columns} * rows, 0); };
    const std::vector<float> ones(kWidth, 1);
    const uint32_t kv = kKvHeads * kHead;
    add(prefix + "attn_norm.weight", "F32", {kWidth}, ones);
    add(prefix + "attn_q.weight", "F16", {kWidth, kWidth}, random_matrix(kWidth, kWidth));
    add(prefix + "attn_k.weight", "F16", {kWidth, kv}, random_matrix(kWidth, kv));
    add(prefix + "attn_v.weight", "F16", {kWidth, kv}, random_matrix(kWidth, kv));
    add(prefix + "attn_output.weight", "F16", {kWidth, kWidth}, zero(kWidth, kWidth));
    add(prefix + "ffn_norm.weight", "F32", {kWidth}, ones);
    add(prefix + "ffn_gate.weight", "F16", {kWidth, kInner}, random_matrix(kWidth, kInner));
    add(prefix + "ffn_up.weight", "F16", {kWidth, kInner}, random_matrix(kWidth, kInner));
    add(prefix + "ffn_down.weight", "F16", {kInner, kWidth}, zero(kInner, kWidth));
  }

  void add(const std::string& name, const char* format_name, std::vector<uint64_t> shape,
           const std::vector<float>& values) {
    const hearth::quant::Format& format = *hearth::quant::find_name(format_name);
    writer_.add_tensor(name, format, shape);
    data_.emplace_back(format.bytes(values.size()));
    format.encode(values.data(), values.size(), nullptr, data_.back().data());
  }

  Vocabulary vocabulary_;
  Writer writer_;
  std::mt19937 random_{7};
  std::vector<std::vector<uint8_t>> data_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_demo OUT.gguf\n");
    return 2;
  }
  if (const hearth::Status status = Model().write(argv[1]); !status) {
    std::fprintf(stderr, "make_demo: %s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}
