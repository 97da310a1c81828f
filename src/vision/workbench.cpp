#include "vision/workbench.h"

#include <algorithm>

#include "base/checked.h"

namespace hearth::vision {
namespace {

constexpr size_t kChunk_bytes = 4u << 20;

}  // namespace

void Workbench::clear(uint64_t most) {
  most_used_ = 0;
  if (bytes() > most) chunks_.clear();
  for (Chunk& chunk : chunks_) chunk.used = 0;
}

uint64_t Workbench::bytes() const {
  uint64_t all = 0;
  for (const Chunk& chunk : chunks_) all += chunk.buffer.bytes();
  return all;
}

Workbench::Scope::Scope(Workbench& bench) : bench_(bench) {
  for (const Chunk& chunk : bench.chunks_) used_.push_back(chunk.used);
}

Workbench::Scope::~Scope() {
  used_.resize(bench_.chunks_.size());
  for (size_t i = 0; i < used_.size(); ++i) bench_.chunks_[i].used = used_[i];
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
  uint64_t used = 0;
  for (const Chunk& one : chunks_) used += one.used;
  most_used_ = std::max(most_used_, used);
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

uint32_t Workbench::step_rows(double operations) const {
  return std::min(kStep_rows, pace_.rows(operations, device::kPage_tokens));
}

Status Workbench::in_steps(uint32_t rows, double operations, const std::function<Status(uint32_t, uint32_t)>& part) {
  for (uint32_t first = 0; first < rows;) {
    const uint32_t count = std::min(rows - first, step_rows(operations));
    TRY(part(first, count));
    first += count;
  }
  return {};
}

Status Workbench::step(const device::Batch& batch, double operations, const std::function<void()>& ops) {
  ++steps_;
  device_.begin(batch);
  const auto begun = std::chrono::steady_clock::now();  // its turn has come
  ops();
  TRY(device_.finish());
  if (operations > 0) pace_.learn(operations, std::chrono::steady_clock::now() - begun);
  return {};
}

Status Workbench::step(uint32_t rows, double operations, const std::function<void()>& ops) {
  const std::vector<int32_t> tokens(rows);
  device::Batch batch;
  batch.tokens = tokens;
  return step(batch, operations, ops);
}

Status Workbench::project(uint32_t width, const models::Linear& linear, const Rows& out, bool add, const Write& write) {
  const Scope scope(*this);
  const device::OperandForms forms = device_.operand_forms(linear.weight);
  ASSIGN_OR_RETURN(std::byte * data, memory(std::min(out.rows, kStep_rows) * device_.operand_bytes(forms, width)));
  const device::Operand operand{data, width, forms};
  const double operations = 2.0 * width * linear.weight.rows;
  return in_steps(out.rows, operations, [&](uint32_t first, uint32_t count) {
    return step(count, count * operations, [&] {
      write(first, operand);
      const device::Projection projection{.weight = linear.weight,
                                          .bias = linear.bias,
                                          .out = out.range(first, count).data,
                                          .stride = out.width,
                                          .add = add,
                                          .bulk = true};
      device_.project(operand, count, {&projection, 1});
    });
  });
}

void Workbench::write(const Rows& in, const device::Operand& operand) {
  device_.norm(
      {.kind = device::NormKind::kNone, .weight = {nullptr, in.width}, .bias = {}, .in = in.data, .operand = operand});
}

Status Workbench::add_linear(const Rows& in, const models::Linear& linear, const Rows& out) {
  return project(in.width, linear, out, true,
                 [&](uint32_t first, const device::Operand& operand) { write(in.from(first), operand); });
}

Result<Rows> Workbench::linear(const Rows& in, const models::Linear& linear) {
  ASSIGN_OR_RETURN(const Rows out, rows(in.rows, linear.weight.rows));
  TRY(project(in.width, linear, out, false,
              [&](uint32_t first, const device::Operand& operand) { write(in.from(first), operand); }));
  return out;
}

Result<Rows> Workbench::two(const Rows& in, const models::Linear& first, device::Activation activation,
                            const models::Linear& second) {
  ASSIGN_OR_RETURN(const Rows inner, linear(in, first));
  ASSIGN_OR_RETURN(const Rows out, rows(in.rows, second.weight.rows));
  TRY(project(inner.width, second, out, false, [&](uint32_t at, const device::Operand& operand) {
    device_.activate({.kind = activation, .gate = inner.from(at).data, .stride = inner.width, .out = operand});
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
