#include "convert/plan.h"

#include <algorithm>
#include <cmath>

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
uint64_t unpaired(uint64_t rows_of_head, uint64_t row) {
  const uint64_t within = row % rows_of_head;
  return row - within + within / 2 + within % 2 * (rows_of_head / 2);
}

Arrangement arrangement_of(uint64_t rows, uint64_t columns, const TargetOptions& options) {
  const uint64_t rows_of_head = options.heads == 0 ? 0 : rows / options.heads;
  const bool transposed = options.transposed;
  if (rows_of_head == 0 && !transposed) return {};
  return {.row = [=](uint64_t row) -> RowPlace {
    const uint64_t from = rows_of_head == 0 ? row : unpaired(rows_of_head, row);
    return transposed ? RowPlace{0, from, rows} : RowPlace{0, from * columns, 1};
  }};
}

constexpr uint64_t kBlock = 32;  // numbers

// As ggml has it: the exponent, then bytes with a number of the first half each and one of the second.
void decode_mxfp4(const Source& source, uint64_t first, std::span<float> out) {
  const quant::Format& format = *quant::find_name("MXFP4");
  const std::byte* numbers = source.weight.file->bytes(*source.weight.tensor) + first / 2;
  const std::byte* exponents = source.exponents.file->bytes(*source.exponents.tensor) + first / kBlock;
  for (size_t at = 0; at < out.size(); at += kBlock, numbers += kBlock / 2, ++exponents) {
    const auto number = [&](size_t i) {
      const auto both = static_cast<uint8_t>(numbers[i / 2]);
      return i % 2 == 0 ? both & 15 : both >> 4;
    };
    uint8_t block[1 + kBlock / 2] = {static_cast<uint8_t>(*exponents)};
    for (size_t i = 0; i < kBlock / 2; ++i)
      block[1 + i] = static_cast<uint8_t>(number(i) | number(i + kBlock / 2) << 4);
    format.decode(block, kBlock, out.data() + at);
  }
}

// `first`, `stride`: of the source's numbers.
void decode(const Source& source, const RowPlace& at, const Arrangement& arrangement, std::span<float> out) {
  if (source.exponents.file != nullptr) return decode_mxfp4(source, at.first, out);
  const auto [file, tensor] = source.weight;
  const Dtype& dtype = *tensor->dtype;
  const std::byte* bytes = file->bytes(*tensor);
  const auto index = [&](uint64_t i) {
    return at.first + (arrangement.column ? arrangement.column(i) : i) * at.stride;
  };
  if (at.stride == 1 && !arrangement.column) {
    dtype.decode(bytes + at.first * dtype.bytes, out.size(), out.data());
  } else {
    for (size_t i = 0; i < out.size(); ++i) dtype.decode(bytes + index(i) * dtype.bytes, 1, &out[i]);
  }
  if (source.scale.values.empty()) return;
  const uint64_t columns = tensor->shape.back();
  for (size_t i = 0; i < out.size(); ++i) out[i] *= source.scale.at(index(i) / columns, index(i) % columns);
}

}  // namespace

uint64_t Target::rows() const {
  uint64_t rows = 1;
  for (size_t i = 1; i < shape.size(); ++i) rows *= shape[i];
  return rows;
}

void decode_rows(const Target& target, uint64_t first, uint64_t count, float* out) {
  const uint64_t columns = target.columns();
  const uint64_t rows_each = target.rows() / std::max<size_t>(1, target.sources.size());
  for (uint64_t row = first; row < first + count; ++row, out += columns) {
    const std::span<float> values(out, columns);
    if (target.sources.empty()) {
      std::copy_n(target.values.begin() + static_cast<ptrdiff_t>(row * columns), columns, out);
    } else {
      const RowPlace at = target.arrangement.row ? target.arrangement.row(row)
                                                 : RowPlace{row / rows_each, row % rows_each * columns, 1};
      decode(target.sources[at.source], at, target.arrangement, values);
    }
    if (target.add != 0)
      for (float& value : values) value += target.add;
    if (target.negative_exp)
      for (float& value : values) value = -std::exp(value);
  }
}

void Plan::key(std::string_view name, const std::vector<uint32_t>& values) {
  writer.set(architecture_ + "." + std::string(name),
             gguf::Value::numbers(gguf::Type::kU32, std::as_bytes(std::span(values))));
}
void Plan::key(std::string_view name, const std::vector<float>& values) {
  writer.set(architecture_ + "." + std::string(name),
             gguf::Value::numbers(gguf::Type::kF32, std::as_bytes(std::span(values))));
}

void Plan::key(std::string_view name, const std::vector<bool>& values) {
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  writer.set(architecture_ + "." + std::string(name),
             gguf::Value::numbers(gguf::Type::kBool, std::as_bytes(std::span(bytes))));
}

Result<Checkpoint::Place> Plan::find(const Needed& needed) const {
  const Checkpoint::Place place = checkpoint_.find(needed.name);
  if (place.file == nullptr) return error(ErrorKind::kInvalidData, "tensor '{}' is missing", needed.name);
  if (place.tensor->shape != needed.shape)
    return error(ErrorKind::kInvalidData, "{}: tensor '{}' has shape {}; the configuration asks for {}",
                 place.file->path(), needed.name, shape_text(place.tensor->shape), shape_text(needed.shape));
  return place;
}

Result<Source> Plan::take(const Needed& needed) {
  ASSIGN_OR_RETURN(const Checkpoint::Place place, find(needed));
  const std::vector<uint64_t>& shape = needed.shape;
  if (place.tensor->dtype->decode == nullptr)
    return error(ErrorKind::kUnsupported, "{}: tensor '{}' is of type {}, which is not supported for weights",
                 place.file->path(), needed.name, place.tensor->dtype->name);
  taken_.insert(needed.name);
  Source taken{place, {}};
  if (!is_fp8(*place.tensor->dtype)) return taken;
  if (shape.size() != 2)
    return error(ErrorKind::kUnsupported, "tensor '{}' has FP8 numbers, which are not supported here", needed.name);
  ASSIGN_OR_RETURN(taken.scale, take_scale(needed.name, shape[0], shape[1]));
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

Status Plan::arranged(std::string name, std::vector<uint64_t> shape, const std::vector<Needed>& sources,
                      Arrangement arrangement, const TargetOptions& options) {
  Target target{std::move(name), std::move(shape), {}, std::move(arrangement), options.add, options.negative_exp, {}};
  for (const Needed& source : sources) {
    ASSIGN_OR_RETURN(Source taken, take(source));
    target.sources.push_back(std::move(taken));
  }
  targets_.push_back(std::move(target));
  return {};
}

Status Plan::matrix(std::string name, const std::string& source, uint64_t rows, uint64_t columns,
                    const TargetOptions& options) {
  const std::vector<uint64_t> shape = options.transposed ? std::vector{columns, rows} : std::vector{rows, columns};
  return arranged(std::move(name), {columns, rows}, {{source, shape}}, arrangement_of(rows, columns, options), options);
}

Status Plan::vector(std::string name, const std::string& source, uint64_t values, const TargetOptions& options) {
  Arrangement arrangement;
  if (options.heads != 0)
    arrangement.column = [head = values / options.heads](uint64_t value) { return unpaired(head, value); };
  return arranged(std::move(name), {values}, {{source, {values}}}, std::move(arrangement), options);
}

Status Plan::stack(std::string name, const std::vector<std::string>& sources, uint64_t rows, uint64_t columns) {
  std::vector<Needed> needed;
  for (const std::string& source : sources) needed.push_back({source, {rows, columns}});
  return arranged(std::move(name), {columns, rows, sources.size()}, needed);
}

Status Plan::arranged_mxfp4(std::string name, std::vector<uint64_t> shape, const Needed& source,
                            Arrangement arrangement) {
  if (source.shape.back() % kBlock != 0 || shape[0] % kBlock != 0)
    return error(ErrorKind::kUnsupported, "tensor '{}_blocks' has rows that are no whole blocks of {} numbers",
                 source.name, kBlock);
  std::vector<uint64_t> blocks = source.shape;
  blocks.back() /= kBlock;
  Source taken;
  ASSIGN_OR_RETURN(taken.exponents, find({source.name + "_scales", blocks}));
  blocks.push_back(kBlock / 2);
  ASSIGN_OR_RETURN(taken.weight, find({source.name + "_blocks", blocks}));
  for (const Checkpoint::Place& place : {taken.exponents, taken.weight}) {
    if (place.tensor->dtype->name != "U8")
      return error(ErrorKind::kUnsupported, "tensor '{}' is of type {}; expected U8", place.tensor->name,
                   place.tensor->dtype->name);
    taken_.insert(place.tensor->name);
  }
  targets_.push_back({std::move(name), std::move(shape), {std::move(taken)}, std::move(arrangement), 0, false, {}});
  return {};
}

void Plan::computed(std::string name, std::vector<float> values) {
  const uint64_t size = values.size();
  targets_.push_back({std::move(name), {size}, {}, {}, 0, false, std::move(values)});
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
