#include "vision/tower.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/checked.h"

namespace hearth::vision {
namespace {

using device::NormKind;
using device::Operand;
using device::OperandForms;

// Every patch as a row, channel after channel, as the matrices on them have their columns.
std::vector<float> patch_rows(const Spec& spec, const image::Picture& view, const Layout& layout) {
  const uint32_t patch = spec.patch;
  std::vector<float> rows(layout.order.size() * patch * patch * 3);
  float* to = rows.data();
  for (const uint32_t index : layout.order) {
    const uint32_t left = index % layout.columns * patch, top = index / layout.columns * patch;
    for (uint32_t c = 0; c < 3; ++c)
      for (uint32_t y = 0; y < patch; ++y)
        for (uint32_t x = 0; x < patch; ++x)
          *to++ = (static_cast<float>(view.at(left + x, top + y)[c]) / 255 - spec.mean[c]) / spec.deviation[c];
  }
  return rows;
}

bool limits(const BoundedLinear& linear) {
  return std::isfinite(linear.in_least) || std::isfinite(linear.in_most);
}
bool limits_result(const BoundedLinear& linear) {
  return std::isfinite(linear.out_least) || std::isfinite(linear.out_most);
}

// Rows that see one another, and where their keys and values lie.
struct Sequences {
  std::vector<int32_t> tokens, pages;
  device::Batch batch;

  Sequences(uint32_t rows, std::span<const uint32_t> sizes, std::span<const device::Place> places) : tokens(rows) {
    batch.tokens = tokens;
    batch.places.assign(places.begin(), places.end());
    uint32_t count = 0;
    for (const uint32_t size : sizes) count += static_cast<uint32_t>(divide_up(size, device::kPage_tokens));
    pages.resize(count);
    std::iota(pages.begin(), pages.end(), 0);
    uint32_t first = 0, page = 0;
    for (const uint32_t size : sizes) {
      const uint32_t used = static_cast<uint32_t>(divide_up(size, device::kPage_tokens));
      batch.sequences.push_back({first, size, 0, std::span<const int32_t>(pages).subspan(page, used)});
      batch.ahead.push_back({first, size, size});
      first += size;
      page += used;
    }
    CHECK(first == rows);
  }
  Sequences(const Sequences&) = delete;
};

uint32_t page_count(uint32_t rows, const std::vector<uint32_t>& windows) {
  uint32_t count = 0;
  for (const uint32_t size : windows) count += static_cast<uint32_t>(divide_up(size, device::kPage_tokens));
  return std::max(count, static_cast<uint32_t>(divide_up(rows, device::kPage_tokens)));
}

}  // namespace

// One pass over the blocks.
struct Tower::Run {
  const Spec& spec;
  device::Device& device;
  uint32_t rows, inner;
  float *x, *scratch, *other;  // other: for what has bounds, or norms of its own
  std::byte* operand_memory;
  device::CacheLayer cache;

  Operand operand(uint32_t width, std::initializer_list<const BoundedLinear*> weights) const {
    OperandForms forms = 0;
    for (const BoundedLinear* weight : weights)
      if (weight->linear.weight) forms |= device.operand_forms(weight->linear.weight);
    return {operand_memory, width, forms};
  }
  void norm(const models::Norm& norm, const Operand& to, float* out) const {
    device.norm({.kind = spec.norm,
                 .epsilon = spec.epsilon,
                 .weight = norm.weight,
                 .bias = norm.bias,
                 .in = x,
                 .operand = to,
                 .out = out});
  }
  // Adjacent rows `in`, kept within bounds, through the matrix, its result kept likewise.
  void bounded(float* in, const BoundedLinear& by, float* out, uint32_t stride) const {
    const uint32_t width = by.linear.weight.cols;
    if (limits(by)) device.clamp(in, rows, width, by.in_least, by.in_most);
    const Operand operand = this->operand(width, {&by});
    device.norm({.kind = NormKind::kNone, .weight = {nullptr, width}, .bias = {}, .in = in, .operand = operand});
    project(operand, by, out, stride);
  }
  void project(const Operand& in, const BoundedLinear& by, float* out, uint32_t stride, bool add = false) const {
    const device::Projection projection{by.linear.weight, by.linear.bias, out, stride, add};
    device.project(in, rows, {&projection, 1});
    if (limits_result(by)) device.clamp(out, rows, by.linear.weight.rows, by.out_least, by.out_most);
  }
  void attention(const Block& block) const;
  void project_heads(const Block& block) const;
  void norm_parts(const Block& block, uint32_t stride) const;
  void feed_forward(const Block& block) const;
  void project_inner(const Block& block) const;
  void add_result(const Operand& in, float* values, const BoundedLinear& by, const models::Norm& post,
                  const device::Vector& scale) const;
};

// Queries, keys and values lie beside one another where one matrix gives them all, else one after the other.
void Tower::Run::project_heads(const Block& block) const {
  const uint32_t width = spec.width;
  const size_t part = size_t{rows} * width;
  if (block.qkv.linear.weight) {
    if (limits(block.qkv)) {
      norm(block.attention_norm, {}, other);
      return bounded(other, block.qkv, scratch, 3 * width);
    }
    const Operand in = operand(width, {&block.qkv});
    norm(block.attention_norm, in, nullptr);
    return project(in, block.qkv, scratch, 3 * width);
  }
  if (!limits(block.q) && !limits(block.k) && !limits(block.v)) {
    const Operand in = operand(width, {&block.q, &block.k, &block.v});
    norm(block.attention_norm, in, nullptr);
    project(in, block.q, scratch, width);
    project(in, block.k, scratch + part, width);
    return project(in, block.v, scratch + 2 * part, width);
  }
  float* to = scratch;
  for (const BoundedLinear* by : {&block.q, &block.k, &block.v}) {
    norm(block.attention_norm, {}, other);
    bounded(other, *by, to, width);
    to += part;
  }
}

// Norms that are not those of single heads of queries and keys.
void Tower::Run::norm_parts(const Block& block, uint32_t stride) const {
  const size_t part = stride == spec.width ? size_t{rows} * spec.width : spec.width;
  if (spec.norm_values) {
    const device::Pieces pieces{spec.heads, stride, spec.head(), stride, spec.head()};
    float* v = scratch + 2 * part;
    device.norm({.epsilon = spec.epsilon,
                 .weight = {nullptr, spec.head()},
                 .bias = {},
                 .in = v,
                 .operand = {},
                 .out = v,
                 .pieces = &pieces});
  }
  if (block.q_norm.size != spec.width || spec.heads == 1) return;
  const device::Pieces whole{1, stride, 0, stride, 0};
  for (const auto& [weight, at] : {std::pair{block.q_norm, scratch}, {block.k_norm, scratch + part}})
    device.norm(
        {.epsilon = spec.epsilon, .weight = weight, .bias = {}, .in = at, .operand = {}, .out = at, .pieces = &whole});
}

void Tower::Run::attention(const Block& block) const {
  const uint32_t width = spec.width, stride = block.qkv.linear.weight ? 3 * width : width;
  const size_t part = block.qkv.linear.weight ? width : size_t{rows} * width;
  project_heads(block);
  norm_parts(block, stride);
  const bool per_head = block.q_norm.size == spec.head();
  device.rotate_append({.q = scratch,
                        .k = scratch + part,
                        .v = scratch + 2 * part,
                        .q_stride = stride,
                        .k_stride = stride,
                        .v_stride = stride,
                        .heads = spec.heads,
                        .rope = spec.rope.dims != 0 ? &spec.rope : nullptr,
                        .q_norm = per_head ? block.q_norm : device::Vector{},
                        .k_norm = per_head ? block.k_norm : device::Vector{},
                        .epsilon = spec.epsilon,
                        .cache = cache});
  const bool bounded = limits(block.attention_output);
  const Operand out = operand(width, {&block.attention_output});
  device.attention({.q = scratch,
                    .q_stride = stride,
                    .heads = spec.heads,
                    .cache = cache,
                    .scale = spec.attention_scale,
                    .out = out,
                    .values = bounded ? other : nullptr});
  add_result(out, bounded ? other : nullptr, block.attention_output, block.attention_post_norm, block.attention_scale);
}

// x += what the matrix makes of `in` (or of `values`), through a norm or times a scale.
void Tower::Run::add_result(const Operand& in, float* values, const BoundedLinear& by, const models::Norm& post,
                            const device::Vector& scale) const {
  const bool direct = values == nullptr && !post.weight && !scale && !limits_result(by);
  if (direct) return project(in, by, x, spec.width, true);
  float* const out = scratch;
  if (values != nullptr)
    bounded(values, by, out, spec.width);
  else
    project(in, by, out, spec.width);
  const device::Vector weight = post.weight ? post.weight : scale ? scale : device::Vector{nullptr, spec.width};
  device.norm({.kind = post.weight ? spec.norm : NormKind::kNone,
               .epsilon = spec.epsilon,
               .weight = weight,
               .bias = post.bias,
               .in = out,
               .operand = {},
               .out = x,
               .add = true});
}

void Tower::Run::project_inner(const Block& block) const {
  float* const gate = scratch + (block.gate.linear.weight ? size_t{rows} * inner : 0);  // behind `up`
  if (!limits(block.up) && !limits(block.gate)) {
    const Operand in = operand(spec.width, {&block.up, &block.gate});
    norm(block.feed_forward_norm, in, nullptr);
    project(in, block.up, scratch, inner);
    if (block.gate.linear.weight) project(in, block.gate, gate, inner);
    return;
  }
  norm(block.feed_forward_norm, {}, other);
  bounded(other, block.up, scratch, inner);
  if (!block.gate.linear.weight) return;
  norm(block.feed_forward_norm, {}, other);
  bounded(other, block.gate, gate, inner);
}

void Tower::Run::feed_forward(const Block& block) const {
  project_inner(block);
  const bool gated = static_cast<bool>(block.gate.linear.weight), bounded = limits(block.down);
  const Operand out = operand(inner, {&block.down});
  device.activate({.kind = spec.activation,
                   .gate = gated ? scratch + size_t{rows} * inner : scratch,
                   .up = gated ? scratch : nullptr,
                   .stride = inner,
                   .out = out,
                   .values = bounded ? other : nullptr});
  add_result(out, bounded ? other : nullptr, block.down, block.feed_forward_post_norm, block.feed_forward_scale);
}

device::StepShape Tower::step_shape(uint32_t rows) const {
  device::StepShape most;
  most.rows = most.context = rows;
  most.sequences = spec_.whole_every != 0 ? rows : 1;
  most.width = std::max({spec_.width * 3, feed_forward_, spec_.out});
  most.heads = spec_.heads;
  most.cache = {device::CacheType::kF32, spec_.heads, spec_.head(), spec_.head()};
  return most;
}

uint64_t Tower::run_bytes(const device::Sizing& sizing, uint32_t rows) const {
  const uint64_t widest = std::max({3 * spec_.width, 2 * feed_forward_});
  const uint64_t floats = spec_.width + widest + std::max(spec_.width, feed_forward_) + 3 * spec_.patch * spec_.patch;
  const uint64_t forms =
      sizing.operand_bytes(sizing.operand_forms(patches_.weight), std::max(spec_.width, feed_forward_));
  const uint64_t page = sizing.page_bytes(step_shape(rows).cache);
  return rows * (floats * sizeof(float) + forms) + (rows / device::kPage_tokens + 1) * page;
}

Status Tower::embed(Workbench& bench, const image::Picture& view, const Layout& layout, const Rows& x) const {
  const uint32_t width = 3 * spec_.patch * spec_.patch, count = static_cast<uint32_t>(layout.order.size());
  ASSIGN_OR_RETURN(const Rows patches, bench.put(patch_rows(spec_, view, layout), width));
  const auto add = [&](const models::Linear& matrix) -> Status {
    ASSIGN_OR_RETURN(const Operand operand, bench.operand(count, width, matrix.weight));
    return bench.step(count, [&] {
      bench.device().norm(
          {.kind = NormKind::kNone, .weight = {nullptr, width}, .bias = {}, .in = patches.data, .operand = operand});
      const device::Projection projection{matrix.weight, matrix.bias, x.data, spec_.width, true};
      bench.device().project(operand, count, {&projection, 1});
    });
  };
  TRY(add(patches_));
  return spec_.two_frames ? add(second_patches_) : Status();
}

Result<Rows> Tower::run(Workbench& bench, const image::Picture& view, const Layout& layout, std::span<const float> base,
                        const std::function<Status(uint32_t, const Rows&)>& seen) const {
  const uint32_t lead = spec_.class_token ? 1 : 0, rows = lead + static_cast<uint32_t>(layout.order.size());
  CHECK(base.size() == size_t{rows} * spec_.width);
  device::Device& device = bench.device();
  TRY(device.reserve(step_shape(rows)));
  ASSIGN_OR_RETURN(Rows x, bench.put(base, spec_.width));
  TRY(embed(bench, view, layout, x.from(lead)));
  if (spec_.pre_norm) {
    ASSIGN_OR_RETURN(x, bench.norm(x, spec_.norm, first_norm_, spec_.epsilon));
  }
  std::vector<device::Place> places(lead);
  for (const uint32_t patch : layout.order) places.push_back({0, patch / layout.columns, patch % layout.columns});
  const Sequences whole(rows, std::vector<uint32_t>{rows}, places);
  const Sequences windows(rows, layout.windows.empty() ? std::vector<uint32_t>{rows} : layout.windows, places);

  const uint32_t most = std::max(spec_.width, feed_forward_);
  ASSIGN_OR_RETURN(const Rows scratch, bench.rows(rows, std::max(3 * spec_.width, 2 * feed_forward_)));
  ASSIGN_OR_RETURN(const Rows other, bench.rows(rows, most));
  size_t operand_row = 0;
  for (const Block& block : blocks_)
    for (const BoundedLinear* by : {&block.qkv, &block.q, &block.up, &block.attention_output, &block.down})
      if (by->linear.weight) {
        OperandForms forms = device.operand_forms(by->linear.weight);
        for (const BoundedLinear* beside : {&block.k, &block.v, &block.gate})
          if (beside->linear.weight) forms |= device.operand_forms(beside->linear.weight);
        operand_row = std::max(operand_row, device.operand_bytes(forms, by->linear.weight.cols));
      }
  ASSIGN_OR_RETURN(std::byte * operand, bench.memory(rows * operand_row));
  const device::CacheShape shape = step_shape(rows).cache;
  const size_t page_bytes = device.page_bytes(shape);
  ASSIGN_OR_RETURN(std::byte * cache, bench.memory(page_count(rows, layout.windows) * page_bytes));

  const Run run{
      spec_, device, rows, feed_forward_, x.data, scratch.data, other.data, operand, {shape, cache, page_bytes}};
  const auto tell = [&](uint32_t passed) {
    return seen && std::ranges::find(spec_.seen, passed) != spec_.seen.end() ? seen(passed, x) : Status();
  };
  TRY(tell(0));
  for (uint32_t i = 0; i < spec_.layers; ++i) {
    // A step for each block: others compute in between.
    device.begin(spec_.whole_every != 0 && (i + 1) % spec_.whole_every != 0 ? windows.batch : whole.batch);
    run.attention(blocks_[i]);
    run.feed_forward(blocks_[i]);
    TRY(device.finish());
    TRY(tell(i + 1));
  }
  return x;
}

}  // namespace hearth::vision
