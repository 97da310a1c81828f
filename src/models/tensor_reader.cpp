#include <cmath>

#include "base/checked.h"
#include "base/error.h"
#include "models/sound.h"
#include "models/weights.h"

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
  ASSIGN_OR_RETURN(const Matrix matrix, described(*tensor, count, rows, cols));
  return place(*tensor, matrix, count);
}

Result<Matrix> TensorReader::place(const gguf::Tensor& tensor, Matrix matrix, uint32_t parts) {
  if (in_file_) {
    mapped_bytes_ += matrix.bytes();
    if (device_ == nullptr) return matrix;
    ASSIGN_OR_RETURN(matrix.data, file_.map(tensor));
    stream_->bring_in(tensor);
    return matrix;
  }
  std::byte* const to = take_memory(matrix);
  if (device_ == nullptr) return matrix;
  return stream_->upload(tensor, matrix, parts, *device_, to);
}

Result<Matrix> TensorReader::convolution(const std::string& name, uint32_t rows, uint32_t channels, uint32_t side) {
  ASSIGN_OR_RETURN(const gguf::Tensor* tensor, take(name, {side, side, channels, rows}));
  const Matrix matrix{tensor->format, &kCounted, rows, channels * side * side};
  if (tensor->format->block_values != 1)  // rows of blocks end at the patches' rows, not at the matrix's
    return error(ErrorKind::kUnsupported, "{}: tensor {} is of type {}; supported: F32, F16, BF16", file_.path(), name,
                 tensor->format->name);
  return place(*tensor, matrix, 1);
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
  return rearrange(*tensor, of.cols, shape, parts, from);
}

Result<Matrix> TensorReader::convolution_of_frame(const std::string& name, uint32_t rows, uint32_t channels,
                                                  uint32_t side, uint32_t frames, uint32_t frame) {
  ASSIGN_OR_RETURN(const gguf::Tensor* tensor, take(name, {side, side, frames, uint64_t{channels} * rows}));
  const uint32_t area = side * side;
  return rearrange(*tensor, area, {rows, channels * area}, 1, [=](uint32_t row, uint32_t col) {
    return MatrixPlace{(row * channels + col / area) * frames + frame, col % area};
  });
}

Result<Matrix> TensorReader::rearrange(const gguf::Tensor& tensor, uint32_t tensor_cols, MatrixShape shape,
                                       uint32_t parts,
                                       const std::function<MatrixPlace(uint32_t row, uint32_t col)>& from) {
  ASSIGN_OR_RETURN(Matrix matrix, described(tensor, 1, shape.rows, shape.cols));
  if (std::string_view(matrix.format->name) != "F32") matrix.format = quant::find_name("F16");
  std::byte* const to = take_memory(matrix);
  if (device_ == nullptr) return matrix;
  ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, stream_->read(tensor, 0, tensor.bytes));
  TRY(check_sound(file_, tensor, bytes));
  std::vector<float> all(tensor.values()), row(shape.cols);
  tensor.format->decode(reinterpret_cast<const uint8_t*>(bytes.data()), all.size(), all.data());
  std::vector<uint8_t> made(matrix.bytes());
  for (uint32_t r = 0; r < shape.rows; ++r) {
    for (uint32_t c = 0; c < shape.cols; ++c) {
      const MatrixPlace at = from(r, c);
      row[c] = all[size_t{at.row} * tensor_cols + at.col];
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

}  // namespace hearth::models
