// Writes a GGUF model as the folder that Hugging Face's libraries would write: the inverse of what is tested, done here
// from the definitions of the models (names and shapes of transformers' modules).
#pragma once

#include <boost/json.hpp>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>

#include "gguf/file.h"
#include "support/safetensors_writer.h"
#include "support/support.h"

namespace hearth::test {

struct FolderOptions {
  std::string dtype = "F32";  // of matrices: F32, F16, BF16, or F8_E4M3 with a scale for each row
  size_t files = 1;           // with an index where there are more
};

class ModelFolder {
 public:
  explicit ModelFolder(const gguf::File& file, FolderOptions options = {}) : file_(file), options_(std::move(options)) {
    architecture_ = file.string_or("general.architecture", "");
  }

  // Fields of config.json that differ from model to model; the rest follows from the file's keys.
  boost::json::object more = {};

  void write(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    write_text((folder / "config.json").string(), boost::json::serialize(config()));
    writers_.resize(options_.files);
    for (const gguf::Tensor& tensor : file_.tensors()) add(tensor);
    if (options_.files == 1) return writers_[0].write((folder / "model.safetensors").string());
    boost::json::object map;
    for (size_t i = 0; i < writers_.size(); ++i) {
      const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, writers_.size());
      writers_[i].write((folder / name).string());
      for (const std::string& tensor : writers_[i].names()) map[tensor] = name;
    }
    write_text((folder / "model.safetensors.index.json").string(),
               boost::json::serialize(boost::json::object{{"metadata", {}}, {"weight_map", map}}));
  }

 private:
  uint64_t key(const char* name) const { return file_.u64_or(architecture_ + "." + name, 0); }
  double number(const char* name) const { return file_.f64_or(architecture_ + "." + name, 0); }
  bool is_gpt2() const { return architecture_ == "gpt2"; }
  bool is_gemma() const { return architecture_.starts_with("gemma"); }

  boost::json::object config() const {
    boost::json::object out;
    if (is_gpt2()) {
      out = {{"architectures", {"GPT2LMHeadModel"}}, {"n_layer", key("block_count")},
             {"n_embd", key("embedding_length")},    {"n_head", key("attention.head_count")},
             {"n_positions", key("context_length")}, {"vocab_size", key("vocab_size")},
             {"activation_function", "gelu_new"},    {"layer_norm_epsilon", number("attention.layer_norm_epsilon")}};
    } else {
      const uint64_t heads = key("attention.head_count");
      out = {{"num_hidden_layers", key("block_count")},
             {"hidden_size", key("embedding_length")},
             {"intermediate_size", key("feed_forward_length")},
             {"num_attention_heads", heads},
             {"num_key_value_heads", key("attention.head_count_kv")},
             {"max_position_embeddings", key("context_length")},
             {"vocab_size", key("vocab_size")},
             {"rms_norm_eps", number("attention.layer_norm_rms_epsilon")},
             {"rope_theta", number("rope.freq_base")},
             {"head_dim", file_.u64_or(architecture_ + ".attention.key_length", key("embedding_length") / heads)}};
      out[is_gemma() ? "hidden_activation" : "hidden_act"] = is_gemma() ? "gelu_pytorch_tanh" : "silu";
      if (is_gemma()) out["query_pre_attn_scalar"] = out.at("head_dim");
    }
    if (key("attention.sliding_window") != 0) out["sliding_window"] = key("attention.sliding_window");
    out["tie_word_embeddings"] = file_.tensor("output.weight") == nullptr;
    for (const auto& member : more) out[member.key()] = member.value();
    return out;
  }

  std::vector<float> values(const gguf::Tensor& tensor) const {
    std::vector<std::byte> bytes(tensor.bytes);
    EXPECT_TRUE(file_.read(tensor, 0, bytes).ok());
    std::vector<float> out(tensor.values());
    tensor.format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), out.size(), out.data());
    return out;
  }

  // "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight".
  std::string translated(const std::string& name) const {
    using Names = std::vector<std::pair<std::string, std::string>>;
    const Names llama = {{"token_embd.", "model.embed_tokens."},
                         {"output_norm.", "model.norm."},
                         {"output.", "lm_head."},
                         {"attn_norm.", "input_layernorm."},
                         {"attn_q.", "self_attn.q_proj."},
                         {"attn_k.", "self_attn.k_proj."},
                         {"attn_v.", "self_attn.v_proj."},
                         {"attn_qkv.", "self_attn.qkv_proj."},
                         {"attn_output.", "self_attn.o_proj."},
                         {"attn_q_norm.", "self_attn.q_norm."},
                         {"attn_k_norm.", "self_attn.k_norm."},
                         {"ffn_gate.", "mlp.gate_proj."},
                         {"ffn_down.", "mlp.down_proj."},
                         {"ffn_gate_inp.", architecture_ == "llama" ? "block_sparse_moe.gate." : "mlp.gate."},
                         {"ffn_up.", architecture_ == "phi3" ? "mlp.gate_up_proj." : "mlp.up_proj."},
                         {"ffn_norm.", is_gemma() ? "pre_feedforward_layernorm." : "post_attention_layernorm."},
                         {"post_attention_norm.", "post_attention_layernorm."},
                         {"post_ffw_norm.", "post_feedforward_layernorm."}};
    const Names gpt2 = {{"token_embd.", "transformer.wte."},
                        {"position_embd.", "transformer.wpe."},
                        {"output_norm.", "transformer.ln_f."},
                        {"output.", "lm_head."},
                        {"attn_norm.", "ln_1."},
                        {"ffn_norm.", "ln_2."},
                        {"attn_qkv.", "attn.c_attn."},
                        {"attn_output.", "attn.c_proj."},
                        {"ffn_up.", "mlp.c_fc."},
                        {"ffn_down.", "mlp.c_proj."}};
    std::string rest = name, begin;
    if (name.starts_with("blk.")) {
      const size_t end = name.find('.', 4);
      begin = (is_gpt2() ? "transformer.h" : "model.layers") + name.substr(3, end - 2);
      rest = name.substr(end + 1);
    }
    for (const auto& [ours, theirs] : is_gpt2() ? gpt2 : llama)
      if (rest.starts_with(ours)) return begin + theirs + rest.substr(ours.size());
    return name;
  }

  // Rows of pairs that are neighbours, back to halves of a head.
  static std::vector<float> halved(const std::vector<float>& in, uint64_t rows, uint64_t columns, uint64_t heads) {
    std::vector<float> out(in.size());
    const uint64_t head = rows / heads;
    for (uint64_t row = 0; row < rows; ++row) {
      const uint64_t within = row % head, to = row - within + within / 2 + within % 2 * (head / 2);
      std::copy_n(in.begin() + static_cast<ptrdiff_t>(row * columns), columns,
                  out.begin() + static_cast<ptrdiff_t>(to * columns));
    }
    return out;
  }

  void add(const gguf::Tensor& tensor) {
    if (tensor.name == "rope_freqs.weight") return;  // follows from the configuration
    std::vector<float> data = values(tensor);
    const uint64_t columns = tensor.shape[0], rows = tensor.shape[1];
    if (tensor.dimensions == 3) return add_experts(tensor, data);
    const bool reordered = architecture_ == "llama" || architecture_ == "granite" || architecture_ == "smollm3";
    if (reordered && tensor.name.find(".attn_q.") != std::string::npos)
      data = halved(data, rows, columns, key("attention.head_count"));
    if (reordered && tensor.name.find(".attn_k.") != std::string::npos)
      data = halved(data, rows, columns, key("attention.head_count_kv"));
    if (is_gemma() && tensor.dimensions == 1)
      for (float& value : data) value -= 1;
    if (tensor.dimensions == 1) return next().add_f32(translated(tensor.name), {columns}, data);
    const bool linear = tensor.name.find("blk.") == 0;
    if (!is_gpt2() || !linear) return add_matrix(translated(tensor.name), rows, columns, data);
    std::vector<float> turned(data.size());
    for (uint64_t r = 0; r < rows; ++r)
      for (uint64_t c = 0; c < columns; ++c) turned[c * rows + r] = data[r * columns + c];
    add_matrix(translated(tensor.name), columns, rows, turned);
  }

  // A tensor for each expert, which Mixtral names in its own way.
  void add_experts(const gguf::Tensor& tensor, const std::vector<float>& data) {
    const bool mixtral = architecture_ == "llama";
    const auto is = [&](const char* part) { return tensor.name.find(part) != std::string::npos; };
    const char* part = is("gate")   ? (mixtral ? "w1" : "gate_proj")
                       : is("down") ? (mixtral ? "w2" : "down_proj")
                                    : (mixtral ? "w3" : "up_proj");
    const std::string layer = tensor.name.substr(4, tensor.name.find('.', 4) - 4);
    const uint64_t each = tensor.shape[0] * tensor.shape[1];
    for (uint64_t i = 0; i < tensor.shape[2]; ++i)
      add_matrix(
          fmt::format("model.layers.{}.{}.experts.{}.{}.weight", layer, mixtral ? "block_sparse_moe" : "mlp", i, part),
          tensor.shape[1], tensor.shape[0],
          {data.begin() + static_cast<ptrdiff_t>(i * each), data.begin() + static_cast<ptrdiff_t>((i + 1) * each)});
  }

  void add_matrix(const std::string& name, uint64_t rows, uint64_t columns, const std::vector<float>& data) {
    SafetensorsWriter& writer = next();
    if (options_.dtype == "F16") return writer.add_f16(name, {rows, columns}, data);
    if (options_.dtype == "BF16") return writer.add_bf16(name, {rows, columns}, data);
    writer.add_f32(name, {rows, columns}, data);
  }

  SafetensorsWriter& next() { return writers_[count_++ * options_.files / file_.tensors().size() % options_.files]; }

  const gguf::File& file_;
  const FolderOptions options_;
  std::string architecture_;
  std::vector<SafetensorsWriter> writers_;
  size_t count_ = 0;
};

// The file's vocabulary as a tokenizer.model of SentencePiece.
std::string sentencepiece_model(const gguf::File& file);
// A byte-level one as a tokenizer.json; `pre_tokenizer` is its JSON.
std::string byte_level_json(const gguf::File& file, const boost::json::value& pre_tokenizer, bool ignore_merges);
// The same as a tokenizer.json: of byte pairs with signs for spaces, or unigram.
std::string spaced_json(const gguf::File& file);
std::string unigram_json(const gguf::File& file);

}  // namespace hearth::test
