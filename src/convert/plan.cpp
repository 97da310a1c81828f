#include "convert/plan.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"

namespace hearth::convert {
namespace {

constexpr size_t kMost_named = 5;

std::string shape_text(const std::vector<uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

bool is_fp8(const Dtype& dtype) {
  return dtype.name.starts_with("F8_");
}

// "model.layers.0.mlp.up_proj.weight" without ".weight".
std::string stem_of(const std::string& source) {
  constexpr std::string_view kWeight = ".weight";
  return source.ends_with(kWeight) ? source.substr(0, source.size() - kWeight.size()) : source;
}

// The row of the source that becomes row `row`. Hugging Face's rotation pairs number i of a head with number
// i + half; GGUF's "llama" pairs neighbours.
uint64_t source_row(const Target& target, uint64_t rows, uint64_t row) {
  if (target.heads == 0) return row;
  const uint64_t head_rows = rows / target.heads, within = row % head_rows;
  return row - within + within / 2 + within % 2 * (head_rows / 2);
}

void scale_row(const Scale& scale, uint64_t row, std::span<float> values) {
  if (scale.values.empty()) return;
  for (size_t i = 0; i < values.size(); ++i) values[i] *= scale.at(row, i);
}

void decode_transposed(const Source& source, uint64_t rows, uint64_t row, std::span<float> out) {
  const Dtype& dtype = *source.weight.tensor->dtype;
  const std::byte* at = source.weight.file->bytes(*source.weight.tensor) + row * dtype.bytes;
  for (float& value : out) {
    dtype.decode(at, 1, &value);
    at += rows * dtype.bytes;
  }
}

}  // namespace

uint64_t Target::rows() const {
  uint64_t rows = 1;
  for (size_t i = 1; i < shape.size(); ++i) rows *= shape[i];
  return rows;
}

void decode_rows(const Target& target, uint64_t first, uint64_t count, float* out) {
  const uint64_t columns = target.columns();
  const uint64_t rows_each = target.is_matrix() ? target.shape[1] : 1;
  for (uint64_t row = first; row < first + count; ++row, out += columns) {
    const std::span<float> values(out, columns);
    if (target.sources.empty()) {
      std::copy_n(target.values.begin() + static_cast<ptrdiff_t>(row * columns), columns, out);
    } else if (!target.is_matrix()) {  // a vector: its numbers are the rows
      const auto [file, tensor] = target.sources[0].weight;
      std::vector<float> all(columns);
      tensor->dtype->decode(file->bytes(*tensor), columns, all.data());
      for (uint64_t i = 0; i < columns; ++i) values[i] = all[source_row(target, columns, i)];
    } else {
      const Source& source = target.sources[row / rows_each];
      const uint64_t at = source_row(target, rows_each, row % rows_each);
      const auto [file, tensor] = source.weight;
      if (target.transposed)
        decode_transposed(source, rows_each, at, values);
      else
        tensor->dtype->decode(file->bytes(*tensor) + at * columns * tensor->dtype->bytes, columns, out);
      scale_row(source.scale, at, values);
    }
    if (target.add != 0)
      for (float& value : values) value += target.add;
  }
}

Result<Source> Plan::take(const std::string& source, const std::vector<uint64_t>& shape) {
  const Checkpoint::Place place = checkpoint_.find(source);
  if (place.file == nullptr) return error(ErrorKind::kInvalidData, "tensor '{}' is missing", source);
  if (place.tensor->shape != shape)
    return error(ErrorKind::kInvalidData, "{}: tensor '{}' has shape {}; the configuration asks for {}",
                 place.file->path(), source, shape_text(place.tensor->shape), shape_text(shape));
  if (place.tensor->dtype->decode == nullptr)
    return error(ErrorKind::kUnsupported, "{}: tensor '{}' is of type {}, which is not supported for weights",
                 place.file->path(), source, place.tensor->dtype->name);
  taken_.insert(source);
  Source taken{place, {}};
  if (!is_fp8(*place.tensor->dtype)) return taken;
  ASSIGN_OR_RETURN(taken.scale, take_scale(source, shape[0], shape.size() > 1 ? shape[1] : 1));
  return taken;
}

// Companions of FP8 weights, as DeepSeek and Qwen ("weight_scale_inv", which multiplies all the same), llm-compressor
// and fbgemm ("weight_scale") write them. Scales of activations are for runtimes that quantise those.
Result<Scale> Plan::take_scale(const std::string& source, uint64_t rows, uint64_t columns) {
  const std::string stem = stem_of(source);
  for (const char* other : {".input_scale", ".activation_scale", ".input_scale_ub", ".output_scale"})
    leave_out(stem + other);
  std::string name;
  for (const char* suffix : {".weight_scale_inv", ".weight_scale"})
    if (has(stem + suffix)) name = stem + suffix;
  if (name.empty())
    return error(ErrorKind::kUnsupported, "tensor '{}' has FP8 weights, but there is no '{}.weight_scale'", source,
                 stem);
  const Checkpoint::Place place = checkpoint_.find(name);
  if (place.tensor->dtype->decode == nullptr)
    return error(ErrorKind::kUnsupported, "tensor '{}' is of type {}, which is no scale", name,
                 place.tensor->dtype->name);
  taken_.insert(name);
  Scale scale;
  scale.values.resize(place.tensor->values);
  place.tensor->dtype->decode(place.file->bytes(*place.tensor), scale.values.size(), scale.values.data());
  TRY(place.file->check());
  if (scale.values.size() == 1) {
    scale.block_rows = rows;
    scale.block_columns = columns;
  } else if (scale.values.size() == rows && place.tensor->shape[0] == rows) {
    scale.block_columns = columns;
  } else {
    const std::vector<uint64_t>& shape = place.tensor->shape;
    if (block_[0] == 0 || block_[1] == 0 || shape.size() != 2 || shape[0] != divide_up(rows, block_[0]) ||
        shape[1] != divide_up(columns, block_[1]))
      return error(ErrorKind::kInvalidData, "tensor '{}' has shape {}, which fits no scale of {} rows and {} columns",
                   name, shape_text(shape), rows, columns);
    scale = {std::move(scale.values), block_[0], block_[1], shape[1]};
  }
  return scale;
}

Status Plan::matrix(std::string name, const std::string& source, uint64_t rows, uint64_t columns,
                    const TargetOptions& options) {
  ASSIGN_OR_RETURN(Source taken,
                   take(source, options.transposed ? std::vector{columns, rows} : std::vector{rows, columns}));
  if (options.transposed && !taken.scale.values.empty())
    return error(ErrorKind::kUnsupported, "tensor '{}' has FP8 weights, which are not supported here", source);
  targets_.push_back({std::move(name), {columns, rows}, {}, {}, options.heads, options.transposed, options.add});
  targets_.back().sources.push_back(std::move(taken));
  return {};
}

Status Plan::vector(std::string name, const std::string& source, uint64_t values, const TargetOptions& options) {
  ASSIGN_OR_RETURN(Source taken, take(source, {values}));
  if (!taken.scale.values.empty())
    return error(ErrorKind::kUnsupported, "tensor '{}' has FP8 numbers, which are not supported here", source);
  targets_.push_back({std::move(name), {values}, {}, {}, options.heads, false, options.add});
  targets_.back().sources.push_back(std::move(taken));
  return {};
}

Status Plan::stack(std::string name, const std::vector<std::string>& sources, uint64_t rows, uint64_t columns) {
  Target target{std::move(name), {columns, rows, sources.size()}, {}, {}};
  for (const std::string& source : sources) {
    ASSIGN_OR_RETURN(Source taken, take(source, {rows, columns}));
    target.sources.push_back(std::move(taken));
  }
  targets_.push_back(std::move(target));
  return {};
}

void Plan::computed(std::string name, std::vector<float> values) {
  const uint64_t size = values.size();
  targets_.push_back({std::move(name), {size}, {}, std::move(values)});
}

size_t Plan::leave_out_all(std::string_view begin) {
  size_t count = 0;
  for (const Checkpoint::Place& place : checkpoint_.tensors()) {
    if (!place.tensor->name.starts_with(begin)) continue;
    leave_out(place.tensor->name);
    ++count;
  }
  return count;
}

Status Plan::finish() const {
  std::vector<std::string> left;
  size_t more = 0;
  for (const Checkpoint::Place& place : checkpoint_.tensors()) {
    if (taken_.contains(place.tensor->name)) continue;
    if (left.size() < kMost_named)
      left.push_back(fmt::format("'{}'", place.tensor->name));
    else
      ++more;
  }
  if (left.empty()) return {};
  return error(ErrorKind::kUnsupported, "{} has tensors whose meaning is not known: {}{}", architecture_,
               fmt::join(left, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
}

}  // namespace hearth::convert
