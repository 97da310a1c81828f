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

// Adjacent runs of rows that see one another, and where their keys and values lie.
class Sequences {
 public:
  explicit Sequences(const std::vector<uint32_t>& sizes) : firsts_{0}, first_pages_{0} {
    for (const uint32_t size : sizes) {
      firsts_.push_back(firsts_.back() + size);
      first_pages_.push_back(first_pages_.back() + static_cast<uint32_t>(divide_up(size, device::kPage_tokens)));
    }
    pages_.resize(first_pages_.back());
    std::iota(pages_.begin(), pages_.end(), 0);
    tokens_.resize(firsts_.back());
  }

  uint32_t pages() const { return first_pages_.back(); }
  // Of rows [first, first + rows): valid as long as this is.
  device::Batch batch(uint32_t first, uint32_t rows, std::span<const device::Place> places) const {
    device::Batch batch;
    batch.tokens = std::span(tokens_).first(rows);
    batch.places.assign(places.begin() + first, places.begin() + first + rows);
    auto i = static_cast<size_t>(std::ranges::upper_bound(firsts_, first) - firsts_.begin()) - 1;
    for (uint32_t row = first; row < first + rows; row = firsts_[++i]) {
      const uint32_t end = std::min(first + rows, firsts_[i + 1]), size = firsts_[i + 1] - firsts_[i];
      batch.sequences.push_back({row - first, end - row, row - firsts_[i],
                                 std::span(pages_).subspan(first_pages_[i], first_pages_[i + 1] - first_pages_[i])});
      batch.ahead.push_back({row - first, end - row, size});
    }
    return batch;
  }

 private:
  std::vector<uint32_t> firsts_, first_pages_;  // and where the last ends
  std::vector<int32_t> tokens_, pages_;
};

}  // namespace

// One step of a pass over the blocks: of some rows.
struct Tower::Run {
  const Spec& spec;
  device::Device& device;
  uint32_t rows, inner, all_rows;
  float *x, *heads;        // the first of these rows; queries, keys and values of all rows
  float *scratch, *other;  // of a step; other: for what has bounds, or norms of its own
  std::byte* operand_memory;
  device::CacheLayer cache;

  // Queries, keys and values lie beside one another where one matrix gives them all, else one after the other.
  uint32_t stride(const Block& block) const { return block.qkv.linear.weight ? 3 * spec.width : spec.width; }
  size_t part(const Block& block) const { return block.qkv.linear.weight ? spec.width : size_t{all_rows} * spec.width; }

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
    const device::Projection projection{
        .weight = by.linear.weight, .bias = by.linear.bias, .out = out, .stride = stride, .add = add, .bulk = true};
    device.project(in, rows, {&projection, 1});
    if (limits_result(by)) device.clamp(out, rows, by.linear.weight.rows, by.out_least, by.out_most);
  }
  void find_heads(const Block& block) const;
  void project_heads(const Block& block) const;
  void norm_parts(const Block& block) const;
  void attend(const Block& block) const;
  void feed_forward(const Block& block) const;
  void project_inner(const Block& block) const;
  void add_result(const Operand& in, float* values, const BoundedLinear& by, const models::Norm& post,
                  const device::Vector& scale) const;
};

void Tower::Run::project_heads(const Block& block) const {
  const uint32_t width = spec.width;
  if (block.qkv.linear.weight) {
    if (limits(block.qkv)) {
      norm(block.attention_norm, {}, other);
      return bounded(other, block.qkv, heads, 3 * width);
    }
    const Operand in = operand(width, {&block.qkv});
    norm(block.attention_norm, in, nullptr);
    return project(in, block.qkv, heads, 3 * width);
  }
  if (!limits(block.q) && !limits(block.k) && !limits(block.v)) {
    const Operand in = operand(width, {&block.q, &block.k, &block.v});
    norm(block.attention_norm, in, nullptr);
    project(in, block.q, heads, width);
    project(in, block.k, heads + part(block), width);
    return project(in, block.v, heads + 2 * part(block), width);
  }
  float* to = heads;
  for (const BoundedLinear* by : {&block.q, &block.k, &block.v}) {
    norm(block.attention_norm, {}, other);
    bounded(other, *by, to, width);
    to += part(block);
  }
}

// Norms that are not those of single heads of queries and keys.
void Tower::Run::norm_parts(const Block& block) const {
  const uint32_t stride = this->stride(block);
  if (spec.norm_values) {
    const device::Pieces pieces{spec.heads, stride, spec.head(), stride, spec.head()};
    float* v = heads + 2 * part(block);
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
  for (const auto& [weight, at] : {std::pair{block.q_norm, heads}, {block.k_norm, heads + part(block)}})
    device.norm(
        {.epsilon = spec.epsilon, .weight = weight, .bias = {}, .in = at, .operand = {}, .out = at, .pieces = &whole});
}

// Keys and values go to the cache, queries stay.
void Tower::Run::find_heads(const Block& block) const {
  project_heads(block);
  norm_parts(block);
  const bool per_head = block.q_norm.size == spec.head();
  device.rotate_append({.q = heads,
                        .k = heads + part(block),
                        .v = heads + 2 * part(block),
                        .q_stride = stride(block),
                        .k_stride = stride(block),
                        .v_stride = stride(block),
                        .heads = spec.heads,
                        .rope = spec.rope.dims != 0 ? &spec.rope : nullptr,
                        .q_norm = per_head ? block.q_norm : device::Vector{},
                        .k_norm = per_head ? block.k_norm : device::Vector{},
                        .epsilon = spec.epsilon,
                        .cache = cache});
}

void Tower::Run::attend(const Block& block) const {
  const uint32_t width = spec.width;
  const bool bounded = limits(block.attention_output);
  const Operand out = operand(width, {&block.attention_output});
  device.attention({.q = heads,
                    .q_stride = stride(block),
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
  most.rows = std::min(rows, kStep_rows);
  most.context = rows;
  most.sequences = most.rows;  // windows, or small views
  most.width = std::max({spec_.width * 3, feed_forward_, spec_.out});
  most.heads = spec_.heads;
  most.cache = {device::CacheType::kF32, spec_.heads, spec_.head(), spec_.head()};
  return most;
}

size_t Tower::operand_row_bytes(const device::Sizing& sizing) const {
  size_t most = 0;
  for (const Block& block : blocks_)
    for (const BoundedLinear* by : {&block.qkv, &block.q, &block.up, &block.attention_output, &block.down}) {
      if (!by->linear.weight) continue;
      OperandForms forms = sizing.operand_forms(by->linear.weight);
      for (const BoundedLinear* beside : {&block.k, &block.v, &block.gate})
        if (beside->linear.weight) forms |= sizing.operand_forms(beside->linear.weight);
      most = std::max(most, sizing.operand_bytes(forms, by->linear.weight.cols));
    }
  return most;
}

uint64_t Tower::run_bytes(const device::Sizing& sizing, uint32_t rows) const {
  const uint64_t inner = std::max(2 * feed_forward_, spec_.width), other = std::max(spec_.width, feed_forward_);
  const uint64_t of_all = 5 * spec_.width + 3 * spec_.patch * spec_.patch;  // x, before the first norm, and the heads
  const OperandForms forms = sizing.operand_forms(patches_.weight);
  const uint64_t of_step = (inner + other) * sizeof(float) + operand_row_bytes(sizing) +
                           sizing.operand_bytes(forms, std::max(3 * spec_.patch * spec_.patch, spec_.out));
  // Windows and small views have pages of their own, which they do not fill: as many again.
  const uint64_t pages = 2 * divide_up(rows, device::kPage_tokens);
  return rows * of_all * sizeof(float) + std::min(rows, kStep_rows) * of_step +
         pages * sizing.page_bytes(step_shape(rows).cache);
}

Status Tower::embed(Workbench& bench, const View& view, const Rows& x) const {
  const uint32_t width = 3 * spec_.patch * spec_.patch;
  const Workbench::Scope scope(bench);
  ASSIGN_OR_RETURN(const Rows patches, bench.put(patch_rows(spec_, view.picture, view.layout), width));
  TRY(bench.add_linear(patches, patches_, x));
  return spec_.two_frames ? bench.add_linear(patches, second_patches_, x) : Status();
}

Result<Rows> Tower::first_rows(Workbench& bench, std::span<const View> views) const {
  uint32_t rows = 0;
  for (const View& view : views) rows += rows_of(view.layout);
  ASSIGN_OR_RETURN(Rows x, bench.rows(rows, spec_.width));
  uint32_t first = 0;
  for (const View& view : views) {
    const uint32_t count = rows_of(view.layout), lead = spec_.class_token ? 1 : 0;
    CHECK(view.base.size() == size_t{count} * spec_.width);
    const Rows own = x.range(first, count);
    TRY(device::upload_floats(bench.device(), view.base, own.data));
    TRY(embed(bench, view, own.from(lead)));
    first += count;
  }
  return spec_.pre_norm ? bench.norm(x, spec_.norm, first_norm_, spec_.epsilon) : x;
}

Result<Rows> Tower::run(Workbench& bench, std::span<const View> views,
                        const std::function<Status(uint32_t, const Rows&)>& seen) const {
  std::vector<uint32_t> sizes, windows;
  std::vector<device::Place> places;
  for (const View& view : views) {
    const Layout& layout = view.layout;
    sizes.push_back(rows_of(layout));
    if (spec_.class_token) places.emplace_back();
    for (const uint32_t patch : layout.order) places.push_back({0, patch / layout.columns, patch % layout.columns});
    if (layout.windows.empty())
      windows.push_back(sizes.back());
    else
      windows.insert(windows.end(), layout.windows.begin(), layout.windows.end());
  }
  const Sequences whole(sizes), windowed(windows);
  device::Device& device = bench.device();
  device::StepShape shape = step_shape(static_cast<uint32_t>(places.size()));
  shape.context = std::ranges::max(sizes);
  TRY(device.reserve(shape));
  ASSIGN_OR_RETURN(const Rows x, first_rows(bench, views));

  const uint32_t in_step = std::min(x.rows, kStep_rows);
  ASSIGN_OR_RETURN(const Rows heads, bench.rows(x.rows, 3 * spec_.width));
  ASSIGN_OR_RETURN(const Rows scratch, bench.rows(in_step, std::max(2 * feed_forward_, spec_.width)));
  ASSIGN_OR_RETURN(const Rows other, bench.rows(in_step, std::max(spec_.width, feed_forward_)));
  ASSIGN_OR_RETURN(std::byte * operand, bench.memory(in_step * operand_row_bytes(device)));
  const size_t page_bytes = device.page_bytes(shape.cache);
  ASSIGN_OR_RETURN(std::byte * cache, bench.memory(std::max(whole.pages(), windowed.pages()) * page_bytes));

  const auto tell = [&](uint32_t passed) {
    return seen && std::ranges::find(spec_.seen, passed) != spec_.seen.end() ? seen(passed, x) : Status();
  };
  TRY(tell(0));
  for (uint32_t i = 0; i < spec_.layers; ++i) {
    const bool in_windows = spec_.whole_every != 0 && (i + 1) % spec_.whole_every != 0;
    const Sequences& sequences = in_windows ? windowed : whole;
    const auto part = [&](uint32_t first, uint32_t rows, double operations, bool finds, bool attends) {
      const uint32_t stride = blocks_[i].qkv.linear.weight ? 3 * spec_.width : spec_.width;
      const Run run{spec_,
                    device,
                    rows,
                    feed_forward_,
                    x.rows,
                    x.data + size_t{first} * spec_.width,
                    heads.data + size_t{first} * stride,
                    scratch.data,
                    other.data,
                    operand,
                    {shape.cache, cache, page_bytes}};
      return bench.step(sequences.batch(first, rows, places), operations, [&] {
        if (finds) run.find_heads(blocks_[i]);
        if (!attends) return;
        run.attend(blocks_[i]);
        run.feed_forward(blocks_[i]);
      });
    };
    TRY(run_block(bench, blocks_[i], x.rows, std::ranges::max(in_windows ? windows : sizes), part));
    TRY(tell(i + 1));
  }
  return x;
}

// One step, or several where that would be too many rows or take too long: keys and values of all rows, then the rest.
Status Tower::run_block(Workbench& bench, const Block& block, uint32_t rows, uint32_t context, const Part& part) const {
  const double width = spec_.width, find = 6 * width * width;
  const double attend =
      2 * width * width + (block.gate.linear.weight ? 6 : 4) * width * feed_forward_ + 4 * width * context;
  if (rows <= bench.step_rows(find + attend)) return part(0, rows, rows * (find + attend), true, true);
  TRY(bench.in_steps(rows, find,
                     [&](uint32_t first, uint32_t count) { return part(first, count, count * find, true, false); }));
  return bench.in_steps(
      rows, attend, [&](uint32_t first, uint32_t count) { return part(first, count, count * attend, false, true); });
}

}  // namespace hearth::vision
