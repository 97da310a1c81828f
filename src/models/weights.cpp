#include "models/weights.h"

#include <cmath>

#include "base/checked.h"
#include "base/error.h"
#include "models/latent.h"
#include "models/recurrent.h"
#include "models/sound.h"

namespace hearth::models {

namespace {

using device::Matrix;
using device::Vector;

constexpr size_t kAlignment = device::kWeight_alignment;  // of vectors too
// What a counting reader gives as address: not null, so that what a model has shows; nobody reads there.
alignas(float) constexpr uint8_t kCounted = 0;

std::string shape_text(const std::array<uint64_t, gguf::kMaxDimensions>& shape) {
  size_t used = shape.size();
  while (used > 1 && shape[used - 1] == 1) --used;
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.begin() + static_cast<ptrdiff_t>(used), ", "));
}

// Written by converters of 2023; nothing reads them.
bool is_obsolete(std::string_view name) {
  return name == "rope.freqs" || name.ends_with(".attn_rot_embd.freqs") || name.ends_with(".rope.freqs");
}

bool is_other(const Spec& spec, std::string_view name) {
  for (const std::string& other : spec.other_tensors)
    if (name == other || (other.ends_with('.') && name.starts_with(other))) return true;
  return false;
}

}  // namespace

Result<const gguf::Tensor*> TensorReader::take(const std::string& name,
                                               const std::array<uint64_t, gguf::kMaxDimensions>& shape) {
  const gguf::Tensor* tensor = file_.tensor(name);
  if (tensor == nullptr) return error(ErrorKind::kInvalidData, "{}: tensor {} is missing", file_.path(), name);
  if (tensor->shape != shape)
    return error(ErrorKind::kInvalidData, "{}: tensor {} has shape {}; expected {}", file_.path(), name,
                 shape_text(tensor->shape), shape_text(shape));
  taken_.insert(tensor->name);
  return tensor;
}

Result<Matrix> TensorReader::matrix(const std::string& name, uint32_t rows, uint32_t cols) {
  return matrices(name, 1, rows, cols);
}

void TensorReader::assume(const gguf::QuantizationRecipe& recipe) {
  CHECK(device_ == nullptr);
  recipe_ = recipe;
  properties_ = gguf::read_properties(file_);
}

Result<Matrix> TensorReader::described(const gguf::Tensor& tensor, uint32_t count, uint32_t rows, uint32_t cols) const {
  if (uint64_t{count} * rows > UINT32_MAX)
    return error(ErrorKind::kUnsupported, "{}: tensor {} has more than {} rows", file_.path(), tensor.name, UINT32_MAX);
  Matrix matrix{tensor.format, &kCounted, count * rows, cols};
  if (recipe_ && gguf::is_quantised(tensor)) matrix.format = gguf::choose_format(*recipe_, properties_, tensor).format;
  return matrix;
}

std::byte* TensorReader::take_memory(const Matrix& matrix) {
  const size_t at = bytes_;
  bytes_ += round_up(sizing_.matrix_bytes(matrix), kAlignment);
  return device_ == nullptr ? nullptr : memory_ + at;
}

Result<Matrix> TensorReader::matrices(const std::string& name, uint32_t count, uint32_t rows, uint32_t cols) {
  ASSIGN_OR_RETURN(const gguf::Tensor* tensor, take(name, {cols, rows, count, 1}));
  ASSIGN_OR_RETURN(Matrix matrix, described(*tensor, count, rows, cols));
  if (in_file_) {
    mapped_bytes_ += matrix.bytes();
    if (device_ == nullptr) return matrix;
    ASSIGN_OR_RETURN(matrix.data, file_.map(*tensor));
    stream_->bring_in(*tensor);
    return matrix;
  }
  std::byte* const to = take_memory(matrix);
  if (device_ == nullptr) return matrix;
  return stream_->upload(*tensor, matrix, count, *device_, to);
}

Result<Matrix> TensorReader::experts(const std::string& name, uint32_t count, uint32_t rows, uint32_t cols) {
  const auto one = [&](uint32_t expert) { return fmt::format("{}.{}.weight", name, expert); };
  if (!has(one(0))) return matrices(name + "_exps.weight", count, rows, cols);
  const gguf::Tensor* first = file_.tensor(one(0));
  ASSIGN_OR_RETURN(Matrix all, described(*first, count, rows, cols));
  std::byte* const to = take_memory(all);
  Matrix expert = all;
  expert.rows = rows;
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const gguf::Tensor* tensor, take(one(i), {cols, rows, 1, 1}));
    if (tensor->format != first->format)
      return error(ErrorKind::kUnsupported,
                   "{}: tensor {} is of type {}, but {} of {}; experts of one layer must agree", file_.path(),
                   tensor->name, tensor->format->name, first->name, first->format->name);
    if (device_ == nullptr) continue;
    ASSIGN_OR_RETURN(const Matrix uploaded, stream_->upload(*tensor, expert, 1, *device_, to + i * expert.bytes()));
    all.interleaved = uploaded.interleaved;
  }
  if (device_ != nullptr) all.data = reinterpret_cast<const uint8_t*>(to);
  return all;
}

Result<Matrix> TensorReader::rearranged(const std::string& name, MatrixShape of, MatrixShape shape, uint32_t parts,
                                        const std::function<MatrixPlace(uint32_t row, uint32_t col)>& from) {
  ASSIGN_OR_RETURN(const gguf::Tensor* tensor, take(name, {of.cols, of.rows, 1, 1}));
  ASSIGN_OR_RETURN(Matrix matrix, described(*tensor, 1, shape.rows, shape.cols));
  if (std::string_view(matrix.format->name) != "F32") matrix.format = quant::find_name("F16");
  std::byte* const to = take_memory(matrix);
  if (device_ == nullptr) return matrix;
  ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, stream_->read(*tensor, 0, tensor->bytes));
  TRY(check_sound(file_, *tensor, bytes));
  std::vector<float> all(tensor->values()), row(shape.cols);
  tensor->format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), all.size(), all.data());
  std::vector<uint8_t> made(matrix.bytes());
  for (uint32_t r = 0; r < shape.rows; ++r) {
    for (uint32_t c = 0; c < shape.cols; ++c) {
      const MatrixPlace at = from(r, c);
      row[c] = all[size_t{at.row} * of.cols + at.col];
    }
    matrix.format->encode(row.data(), row.size(), nullptr, made.data() + r * matrix.row_bytes());
  }
  matrix.data = made.data();
  return device_->upload_matrix(matrix, parts, to);
}

Result<Vector> TensorReader::vector(const std::string& name, uint32_t size, float factor) {
  return read_vector(name, {size, 1, 1, 1}, factor);
}

Result<Vector> TensorReader::read_vector(const std::string& name,
                                         const std::array<uint64_t, gguf::kMaxDimensions>& shape, float factor) {
  ASSIGN_OR_RETURN(const gguf::Tensor* tensor, take(name, shape));
  const uint32_t size = static_cast<uint32_t>(tensor->values());
  Vector vector{reinterpret_cast<const float*>(&kCounted), size};
  if (device_ != nullptr) {
    ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, stream_->read(*tensor, 0, tensor->bytes));
    std::vector<float> values(size);
    tensor->format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), size, values.data());
    TRY(check_sound(file_, *tensor, values));
    for (float& value : values) value *= factor;
    float* to = reinterpret_cast<float*>(memory_ + bytes_);
    TRY(device::upload_floats(*device_, values, to));
    vector.data = to;
  }
  bytes_ += round_up(size * sizeof(float), kAlignment);
  return vector;
}

Result<Vector> TensorReader::repeated(const std::string& name, uint32_t size) {
  ASSIGN_OR_RETURN(const gguf::Tensor* tensor, take(name, {1, 1, 1, 1}));
  Vector vector{reinterpret_cast<const float*>(&kCounted), size};
  if (device_ != nullptr) {
    ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, stream_->read(*tensor, 0, tensor->bytes));
    float value = 0;
    tensor->format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), 1, &value);
    const std::vector<float> values(size, value);
    TRY(check_sound(file_, *tensor, values));
    float* to = reinterpret_cast<float*>(memory_ + bytes_);
    TRY(device::upload_floats(*device_, values, to));
    vector.data = to;
  }
  bytes_ += round_up(size * sizeof(float), kAlignment);
  return vector;
}

Result<Vector> TensorReader::numbers(const std::string& name, uint32_t inner, uint32_t outer) {
  return read_vector(name, {inner, outer, 1, 1});
}

Result<Vector> TensorReader::expert_biases(const std::string& name, uint32_t experts, uint32_t rows) {
  if (!has(name)) return Vector{};
  return read_vector(name, {rows, experts, 1, 1});
}

Result<Vector> TensorReader::optional_vector(const std::string& name, uint32_t size) {
  if (!has(name)) return Vector{};
  return vector(name, size);
}

Result<Linear> TensorReader::linear(const std::string& name, uint32_t rows, uint32_t cols) {
  Linear linear;
  ASSIGN_OR_RETURN(linear.weight, matrix(name + ".weight", rows, cols));
  ASSIGN_OR_RETURN(linear.bias, optional_vector(name + ".bias", rows));
  return linear;
}

Result<Norm> TensorReader::norm(const std::string& name, uint32_t size, float factor) {
  Norm norm;
  ASSIGN_OR_RETURN(norm.weight, vector(name + ".weight", size, factor));
  if (has(name + ".bias")) {
    ASSIGN_OR_RETURN(norm.bias, vector(name + ".bias", size, factor));
  }
  return norm;
}

Status TensorReader::check_all_taken(const Spec& spec) const {
  for (const gguf::Tensor& tensor : file_.tensors()) {
    if (taken_.contains(tensor.name) || is_other(spec, tensor.name) || is_obsolete(tensor.name)) continue;
    return error(ErrorKind::kUnsupported,
                 "{}: tensor {} is not known for architecture {} with {} layers; what it does is not supported",
                 file_.path(), tensor.name, spec.architecture, spec.layers);
  }
  return {};
}

namespace {

Status read_attention_norms(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  Norm& norm = spec.norms_on_sums ? layer->post_attention_norm : layer->attention_norm;
  if (spec.pre_norms || spec.norms_on_sums) {
    ASSIGN_OR_RETURN(norm, reader.norm(block + "attn_norm", spec.width));
  }
  if (spec.side_by_side && reader.has(block + "attn_norm_2.weight")) {  // Falcon 40B: one for each
    layer->feed_forward_norm = norm;
    ASSIGN_OR_RETURN(norm, reader.norm(block + "attn_norm_2", spec.width));
  }
  if (spec.post_norms) {
    ASSIGN_OR_RETURN(layer->post_attention_norm, reader.norm(block + "post_attention_norm", spec.width));
  }
  return {};
}

// Some families name the norm before the feed-forward after where it stands.
Status read_feed_forward_norm(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  if (spec.side_by_side || !(spec.pre_norms || spec.norms_on_sums)) return {};
  Norm& norm = spec.norms_on_sums ? layer->post_feed_forward_norm : layer->feed_forward_norm;
  const char* name = "ffn_norm";
  if (!spec.post_norms && !reader.has(block + "ffn_norm.weight")) name = "post_attention_norm";
  if (!spec.post_norms && !reader.has(block + name + ".weight")) name = "attn_norm";  // of blocks of one part
  ASSIGN_OR_RETURN(norm, reader.norm(block + name, spec.width));
  return {};
}

Status read_attention(TensorReader& reader, const Spec& spec, uint32_t index, const std::string& block,
                      LayerWeights* layer) {
  const HeadSizes sizes = heads_of(spec, index);
  const uint32_t q = spec.heads * sizes.key_dim * (spec.attention_gate ? 2 : 1), k = sizes.kv_heads * sizes.key_dim,
                 v = sizes.kv_heads * sizes.value_dim;
  TRY(read_attention_norms(reader, spec, block, layer));
  if (spec.latent.rank != 0) {
    TRY(read_latent(reader, spec, block, &layer->latent));
  } else if (reader.has(block + "attn_qkv.weight")) {
    ASSIGN_OR_RETURN(layer->qkv, reader.linear(block + "attn_qkv", q + k + v, spec.width));
  } else {
    ASSIGN_OR_RETURN(layer->q, reader.linear(block + "attn_q", q, spec.width));
    ASSIGN_OR_RETURN(layer->k, reader.linear(block + "attn_k", k, spec.width));
    if (!spec.norm_values || reader.has(block + "attn_v.weight")) {
      ASSIGN_OR_RETURN(layer->v, reader.linear(block + "attn_v", v, spec.width));
    }
  }
  // The second names are Ollama's.
  const std::string sinks = block + (reader.has(block + "attn_sinks.weight") ? "attn_sinks.weight" : "attn_sinks");
  ASSIGN_OR_RETURN(layer->sinks, reader.optional_vector(sinks, spec.heads));
  if (spec.qk_norm != QkNorm::kNone && spec.qk_norm != QkNorm::kPlainAfterRotation) {
    const bool whole = spec.qk_norm == QkNorm::kWhole;
    ASSIGN_OR_RETURN(layer->q_norm, reader.vector(block + "attn_q_norm.weight", whole ? q : sizes.key_dim));
    ASSIGN_OR_RETURN(layer->k_norm, reader.vector(block + "attn_k_norm.weight", whole ? k : sizes.key_dim));
  }
  const char* output = reader.has(block + "attn_out.weight") ? "attn_out" : "attn_output";
  ASSIGN_OR_RETURN(layer->attention_output,
                   reader.linear(block + output, spec.width, attention_output_width(spec, index)));
  return {};
}

Status read_dense(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  const uint32_t up_rows = spec.gate_in_up ? 2 * spec.feed_forward : spec.feed_forward;
  if (spec.gated && !spec.gate_in_up) {
    ASSIGN_OR_RETURN(layer->gate, reader.linear(block + "ffn_gate", spec.feed_forward, spec.width));
  }
  ASSIGN_OR_RETURN(layer->up, reader.linear(block + "ffn_up", up_rows, spec.width));
  ASSIGN_OR_RETURN(layer->down, reader.linear(block + "ffn_down", spec.width, spec.feed_forward));
  return {};
}

}  // namespace

// Some models have layers of both kinds.
bool has_experts(const gguf::File& file, const Spec& spec, uint32_t index) {
  if (spec.dense_beside_experts) return file.tensor(fmt::format("blk.{}.ffn_gate_inp.weight", index)) != nullptr;
  return spec.experts != 0 && spec.per_layer[index].feed_forward &&
         file.tensor(fmt::format("blk.{}.ffn_up.weight", index)) == nullptr;
}

Status read_layer(TensorReader& reader, const Spec& spec, uint32_t index, LayerWeights* layer) {
  const std::string block = fmt::format("blk.{}.", index);
  const LayerSpec& own = spec.per_layer[index];
  if (own.mixer == Mixer::kAttention) TRY(read_attention(reader, spec, index, block, layer));
  if (keeps_state(own.mixer)) {
    TRY(read_attention_norms(reader, spec, block, layer));
    TRY(read_recurrent(reader, spec, own.mixer, block, &layer->recurrent));
  }
  if (own.feed_forward && !has_experts(reader.file(), spec, index)) {
    TRY(read_feed_forward_norm(reader, spec, block, layer));
    TRY(read_dense(reader, spec, block, layer));
  }
  if (spec.post_norms && !(spec.dense_beside_experts && has_experts(reader.file(), spec, index))) {
    ASSIGN_OR_RETURN(layer->post_feed_forward_norm, reader.norm(block + "post_ffw_norm", spec.width));
  }
  if (const std::string scale = block + "layer_output_scale.weight"; reader.has(scale)) {
    ASSIGN_OR_RETURN(layer->output_scale, reader.repeated(scale, spec.width));
  }
  return {};
}

bool is_of_experts(std::string_view tensor) {
  if (tensor.ends_with("_exps.weight")) return true;
  if (!tensor.ends_with(".weight")) return false;
  tensor.remove_suffix(std::string_view(".weight").size());  // "blk.0.ffn_up.7"
  const size_t number = tensor.find_last_not_of("0123456789");
  return number != std::string_view::npos && number + 1 < tensor.size() && tensor[number] == '.';
}

namespace {

Status read_shared_expert(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  const uint32_t inner = spec.shared_feed_forward;
  if (inner == 0) return {};
  if (spec.gated) {
    ASSIGN_OR_RETURN(layer->shared_gate, reader.linear(block + "ffn_gate_shexp", inner, spec.width));
  }
  ASSIGN_OR_RETURN(layer->shared_up, reader.linear(block + "ffn_up_shexp", inner, spec.width));
  ASSIGN_OR_RETURN(layer->shared_down, reader.linear(block + "ffn_down_shexp", spec.width, inner));
  if (const std::string share = block + "ffn_gate_inp_shexp.weight"; reader.has(share)) {
    ASSIGN_OR_RETURN(layer->shared_share, reader.matrix(share, 1, spec.width));
  }
  return {};
}

}  // namespace

namespace {

// What stands beside the experts, with the norms before and behind both.
Status read_dense_beside(TensorReader& reader, const Spec& spec, const std::string& block, LayerWeights* layer) {
  TRY(read_dense(reader, spec, block, layer));
  const float factor = 1 / std::sqrt(static_cast<float>(spec.width));
  ASSIGN_OR_RETURN(layer->router_norm, reader.vector(block + "ffn_gate_inp.scale", spec.width, factor));
  ASSIGN_OR_RETURN(layer->dense_post_norm, reader.norm(block + "post_ffw_norm_1", spec.width));
  ASSIGN_OR_RETURN(layer->experts_norm, reader.norm(block + "pre_ffw_norm_2", spec.width));
  ASSIGN_OR_RETURN(layer->experts_post_norm, reader.norm(block + "post_ffw_norm_2", spec.width));
  ASSIGN_OR_RETURN(layer->post_feed_forward_norm, reader.norm(block + "post_ffw_norm", spec.width));
  return {};
}

}  // namespace

Status read_experts(TensorReader& reader, const Spec& spec, uint32_t index, LayerWeights* layer) {
  if (!has_experts(reader.file(), spec, index)) return {};
  const std::string block = fmt::format("blk.{}.", index);
  const uint32_t inner = spec.expert_feed_forward;
  TRY(read_feed_forward_norm(reader, spec, block, layer));
  ASSIGN_OR_RETURN(layer->router, reader.matrix(block + "ffn_gate_inp.weight", spec.experts, spec.width));
  const uint32_t width = spec.expert_width != 0 ? spec.expert_width : spec.width;
  if (spec.expert_width != 0) {
    ASSIGN_OR_RETURN(layer->expert_down_to, reader.linear(block + "ffn_latent_down", width, spec.width));
    ASSIGN_OR_RETURN(layer->expert_up_from, reader.linear(block + "ffn_latent_up", spec.width, width));
  }
  if (spec.dense_beside_experts) TRY(read_dense_beside(reader, spec, block, layer));
  if (spec.gated && !spec.expert_gate_in_up) {
    ASSIGN_OR_RETURN(layer->expert_gate, reader.experts(block + "ffn_gate", spec.experts, inner, width));
  }
  if (spec.expert_gate_in_up) {
    ASSIGN_OR_RETURN(layer->expert_up, reader.experts(block + "ffn_gate_up", spec.experts, 2 * inner, width));
  } else {
    ASSIGN_OR_RETURN(layer->expert_up, reader.experts(block + "ffn_up", spec.experts, inner, width));
  }
  ASSIGN_OR_RETURN(layer->expert_result_scale, reader.optional_vector(block + "ffn_down_exps.scale", spec.experts));
  ASSIGN_OR_RETURN(layer->expert_down, reader.experts(block + "ffn_down", spec.experts, width, inner));
  ASSIGN_OR_RETURN(layer->router_bias, reader.optional_vector(block + "ffn_gate_inp.bias", spec.experts));
  ASSIGN_OR_RETURN(layer->choice_bias, reader.optional_vector(block + "exp_probs_b.bias", spec.experts));
  ASSIGN_OR_RETURN(layer->expert_gate_bias, reader.expert_biases(block + "ffn_gate_exps.bias", spec.experts, inner));
  ASSIGN_OR_RETURN(layer->expert_up_bias, reader.expert_biases(block + "ffn_up_exps.bias", spec.experts, inner));
  ASSIGN_OR_RETURN(layer->expert_down_bias,
                   reader.expert_biases(block + "ffn_down_exps.bias", spec.experts, spec.width));
  return read_shared_expert(reader, spec, block, layer);
}

Status read_embedding(TensorReader& reader, const Spec& spec, Weights* weights) {
  ASSIGN_OR_RETURN(weights->embedding, reader.matrix("token_embd.weight", spec.vocabulary, table_width(spec)));
  if (spec.embedding_width != 0) {
    ASSIGN_OR_RETURN(weights->project_in, reader.linear("project_in", spec.width, spec.embedding_width));
  }
  if (spec.learned_positions) {
    ASSIGN_OR_RETURN(weights->positions, reader.matrix("position_embd.weight", spec.context, spec.width));
  }
  return {};
}

bool has_own_output(const gguf::File& file) {
  return file.tensor("output.weight") != nullptr;
}

Status read_output(TensorReader& reader, const Spec& spec, bool tied, Weights* weights) {
  CHECK(!spec.norms_on_sums || spec.logit_scale == 1);  // the scale is the last norm's
  if (!spec.norms_on_sums) {
    const char* name = reader.has("output_norm.weight") ? "output_norm" : "token_embd_norm";  // the second: LFM 2
    ASSIGN_OR_RETURN(weights->output_norm, reader.norm(name, spec.width, spec.logit_scale));
  }
  if (spec.embedding_width != 0) {
    ASSIGN_OR_RETURN(weights->project_out, reader.linear("project_out", spec.embedding_width, spec.width));
  }
  if (has_own_output(reader.file())) {
    ASSIGN_OR_RETURN(weights->output, reader.linear("output", spec.vocabulary, table_width(spec)));
  } else if (tied) {
    weights->output.weight = weights->embedding;
  } else {
    ASSIGN_OR_RETURN(weights->output.weight, reader.matrix("token_embd.weight", spec.vocabulary, table_width(spec)));
  }
  return {};
}

Result<Weights> read_weights(TensorReader& reader, const Spec& spec) {
  Weights weights;
  TRY(read_embedding(reader, spec, &weights));
  weights.layers.resize(spec.layers);
  for (uint32_t i = 0; i < spec.layers; ++i) {
    TRY(read_layer(reader, spec, i, &weights.layers[i]));
    TRY(read_experts(reader, spec, i, &weights.layers[i]));
  }
  TRY(read_output(reader, spec, true, &weights));
  TRY(reader.check_all_taken(spec));
  return weights;
}

}  // namespace hearth::models
