#include "vision/workbench.h"

#include <algorithm>

#include "base/checked.h"

namespace hearth::vision {
namespace {

constexpr size_t kChunk_bytes = 4u << 20;

}  // namespace

void Workbench::clear() {
  for (Chunk& chunk : chunks_) chunk.used = 0;
}

uint64_t Workbench::bytes() const {
  uint64_t all = 0;
  for (const Chunk& chunk : chunks_) all += chunk.buffer.bytes();
  return all;
}

Result<std::byte*> Workbench::memory(size_t bytes) {
  bytes = round_up(std::max<size_t>(bytes, 1), device::kWeight_alignment);
  const auto fits = [&](const Chunk& chunk) { return chunk.buffer.bytes() - chunk.used >= bytes; };
  auto chunk = std::ranges::find_if(chunks_, fits);
  if (chunk == chunks_.end()) {
    ASSIGN_OR_RETURN(device::Buffer buffer, device_.alloc(std::max(bytes, kChunk_bytes)));
    chunks_.push_back({std::move(buffer), 0});
    chunk = chunks_.end() - 1;
  }
  std::byte* const at = chunk->buffer.data() + chunk->used;
  chunk->used += bytes;
  return at;
}

Result<Rows> Workbench::rows(uint32_t rows, uint32_t width) {
  ASSIGN_OR_RETURN(std::byte * data, memory(size_t{rows} * width * sizeof(float)));
  return Rows{reinterpret_cast<float*>(data), rows, width};
}

Result<Rows> Workbench::put(std::span<const float> values, uint32_t width) {
  ASSIGN_OR_RETURN(const Rows to, rows(static_cast<uint32_t>(values.size() / width), width));
  TRY(device::upload_floats(device_, values, to.data));
  return to;
}

Result<std::vector<float>> Workbench::get(const Rows& rows) {
  std::vector<float> values(size_t{rows.rows} * rows.width);
  TRY(device::download_floats(device_, rows.data, values));
  return values;
}

Status Workbench::step(uint32_t rows, const std::function<void()>& ops) {
  const std::vector<int32_t> tokens(rows);
  device::Batch batch;
  batch.tokens = tokens;
  device_.begin(batch);
  ops();
  return device_.finish();
}

Result<device::Operand> Workbench::operand(uint32_t rows, uint32_t width, const device::Matrix& weight) {
  const device::OperandForms forms = device_.operand_forms(weight);
  ASSIGN_OR_RETURN(std::byte * data, memory(rows * device_.operand_bytes(forms, width)));
  return device::Operand{data, width, forms};
}

Result<Rows> Workbench::linear(const Rows& in, const models::Linear& linear) {
  ASSIGN_OR_RETURN(const device::Operand operand, this->operand(in.rows, in.width, linear.weight));
  ASSIGN_OR_RETURN(const Rows out, rows(in.rows, linear.weight.rows));
  TRY(step(in.rows, [&] {
    device_.norm({.kind = device::NormKind::kNone,
                  .weight = {nullptr, in.width},
                  .bias = {},
                  .in = in.data,
                  .operand = operand});
    const device::Projection projection{linear.weight, linear.bias, out.data, out.width};
    device_.project(operand, in.rows, {&projection, 1});
  }));
  return out;
}

Result<Rows> Workbench::two(const Rows& in, const models::Linear& first, device::Activation activation,
                            const models::Linear& second) {
  ASSIGN_OR_RETURN(const Rows inner, linear(in, first));
  ASSIGN_OR_RETURN(const device::Operand operand, this->operand(in.rows, inner.width, second.weight));
  ASSIGN_OR_RETURN(const Rows out, rows(in.rows, second.weight.rows));
  TRY(step(in.rows, [&] {
    device_.activate({.kind = activation, .gate = inner.data, .stride = inner.width, .out = operand});
    const device::Projection projection{second.weight, second.bias, out.data, out.width};
    device_.project(operand, in.rows, {&projection, 1});
  }));
  return out;
}

Result<Rows> Workbench::norm(const Rows& in, device::NormKind kind, const models::Norm& norm, float epsilon) {
  ASSIGN_OR_RETURN(const Rows out, rows(in.rows, in.width));
  TRY(step(in.rows, [&] {
    device_.norm({.kind = kind,
                  .epsilon = epsilon,
                  .weight = norm.weight ? norm.weight : device::Vector{nullptr, in.width},
                  .bias = norm.bias,
                  .in = in.data,
                  .operand = {},
                  .out = out.data});
  }));
  return out;
}

}  // namespace hearth::vision
