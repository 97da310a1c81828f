#include "convert/model_folder.h"

namespace hearth::test {
namespace {

namespace json = boost::json;

const std::vector<std::pair<std::string, std::string>> kLlama = {
    {"token_embd.", "embed_tokens."},
    {"output_norm.", "norm."},
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
    {"ffn_up.", "mlp.up_proj."},
    {"ffn_norm.", "post_attention_layernorm."},
    {"post_attention_norm.", "post_attention_layernorm."},
    {"post_ffw_norm.", "post_feedforward_layernorm."},
};

// Rows of pairs that are neighbours, back to halves of a head.
std::vector<float> halved(const std::vector<float>& in, uint64_t rows, uint64_t columns, uint64_t heads) {
  std::vector<float> out(in.size());
  const uint64_t head = rows / heads;
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t within = row % head, to = row - within + within / 2 + within % 2 * (head / 2);
    std::copy_n(in.begin() + static_cast<ptrdiff_t>(row * columns), columns,
                out.begin() + static_cast<ptrdiff_t>(to * columns));
  }
  return out;
}

}  // namespace

ModelFolder::ModelFolder(const gguf::File& file, FolderOptions options)
    : file_(file),
      options_(std::move(options)),
      architecture_(file.string_or("general.architecture", "")),
      layout_(layout_of(file)) {
  changed = config();
}

void ModelFolder::write(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_text((folder / "config.json").string(), json::serialize(changed));
  writers_.resize(options_.files);
  for (const gguf::Tensor& tensor : file_.tensors()) add(tensor);
  if (options_.files == 1) return writers_[0].write((folder / "model.safetensors").string());
  json::object map;
  for (size_t i = 0; i < writers_.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, writers_.size());
    writers_[i].write((folder / name).string());
    for (const std::string& tensor : writers_[i].names()) map[tensor] = name;
  }
  write_text((folder / "model.safetensors.index.json").string(),
             json::serialize(json::object{{"metadata", {}}, {"weight_map", map}}));
}

json::object ModelFolder::config() const {
  if (architecture_ == "gpt2")
    return {{"n_layer", key("block_count")},
            {"n_embd", key("embedding_length")},
            {"n_head", key("attention.head_count")},
            {"n_positions", key("context_length")},
            {"vocab_size", key("vocab_size")},
            {"activation_function", "gelu_new"},
            {"layer_norm_epsilon", number("attention.layer_norm_epsilon")},
            {"tie_word_embeddings", file_.tensor("output.weight") == nullptr}};
  const uint64_t heads = std::max<uint64_t>(1, key("attention.head_count"));
  json::object out = {
      {"num_hidden_layers", key("block_count")},
      {"hidden_size", key("embedding_length")},
      {"intermediate_size", key("feed_forward_length")},
      {"num_attention_heads", key("attention.head_count")},
      {"num_key_value_heads", key("attention.head_count_kv")},
      {"max_position_embeddings", key("context_length")},
      {"vocab_size", key("vocab_size")},
      {"rope_theta", number("rope.freq_base")},
      {"head_dim", file_.u64_or(architecture_ + ".attention.key_length", key("embedding_length") / heads)},
      {"tie_word_embeddings", file_.tensor("output.weight") == nullptr}};
  const bool gemma = architecture_.starts_with("gemma");
  out[gemma ? "hidden_activation" : "hidden_act"] = gemma ? "gelu_pytorch_tanh" : "silu";
  if (gemma) out["query_pre_attn_scalar"] = out.at("head_dim");
  const double rms = number("attention.layer_norm_rms_epsilon"), layer = number("attention.layer_norm_epsilon");
  if (rms != 0) out["rms_norm_eps"] = rms;
  if (layer != 0)
    for (const char* name : {"layer_norm_eps", "norm_epsilon", "layer_norm_epsilon"}) out[name] = layer;
  if (key("attention.sliding_window") != 0) out["sliding_window"] = key("attention.sliding_window");
  return out;
}

std::vector<float> ModelFolder::values(const std::string& name) const {
  const gguf::Tensor* tensor = file_.tensor(name);
  EXPECT_NE(tensor, nullptr) << name;
  std::vector<std::byte> bytes(tensor->bytes);
  EXPECT_TRUE(file_.read(*tensor, 0, bytes).ok());
  std::vector<float> out(tensor->values());
  tensor->format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), out.size(), out.data());
  return out;
}

void ModelFolder::put(const std::string& name, const Shape& shape, const std::vector<float>& data) {
  uint64_t values = 1;
  for (const uint64_t n : shape) values *= n;
  ASSERT_EQ(values, data.size()) << name;
  SafetensorsWriter& writer = next();
  if (shape.size() == 1 || options_.dtype == "F32") return writer.add_f32(name, shape, data);
  if (options_.dtype == "F16") return writer.add_f16(name, shape, data);
  writer.add_bf16(name, shape, data);
}

void ModelFolder::put_bytes(const std::string& name, const Shape& shape, const std::vector<uint8_t>& data) {
  next().add(name, "U8", shape, std::string(data.begin(), data.end()));
}

SafetensorsWriter& ModelFolder::next() {
  return writers_[count_++ % options_.files];
}

std::string ModelFolder::translated(const std::string& rest, const std::string& layer) const {
  for (const auto* names : {&layout_.names, &kLlama})
    for (const auto& [ours, theirs] : *names)
      if (rest.starts_with(ours))
        return (layer.empty() ? layout_.prefix : layer) + theirs +
               (theirs.ends_with('.') ? rest.substr(ours.size()) : "");
  ADD_FAILURE() << rest << " has no name";
  return rest;
}

void ModelFolder::add(const gguf::Tensor& tensor) {
  if (tensor.name == "rope_freqs.weight") return;  // follows from the configuration
  std::string rest = tensor.name, layer;
  if (tensor.name.starts_with("blk.")) {
    const size_t end = tensor.name.find('.', 4);
    layer = layout_.prefix + layout_.layers + tensor.name.substr(4, end - 3);
    rest = tensor.name.substr(end + 1);
  }
  if (layout_.other && layout_.other(*this, tensor, layer, rest)) return;
  std::vector<float> data = values(tensor.name);
  Shape shape(tensor.shape.begin(), tensor.shape.begin() + tensor.dimensions);
  std::reverse(shape.begin(), shape.end());
  if (rest == "output.weight") return put("lm_head.weight", shape, data);
  if (layout_.halves && (rest.starts_with("attn_q.") || rest.starts_with("attn_k.")))
    data = halved(data, shape[0], shape.size() > 1 ? shape[1] : 1, shape[0] / config().at("head_dim").as_uint64());
  if (rest.find("norm.weight") != std::string::npos)
    for (float& value : data) value -= layout_.less;
  const std::string name = translated(rest, layer);
  if (!layout_.transposed || layer.empty() || shape.size() != 2) return put(name, shape, data);
  std::vector<float> turned(data.size());
  for (uint64_t r = 0; r < shape[0]; ++r)
    for (uint64_t c = 0; c < shape[1]; ++c) turned[c * shape[0] + r] = data[r * shape[1] + c];
  put(name, {shape[1], shape[0]}, turned);
}

}  // namespace hearth::test
