#include "cuda/matmul.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/checked.h"
#include "cuda/kernels/matmul_args.h"
#include "cuda/matmul_plan.h"

namespace hearth::cuda {
namespace {

// Blocks that share an expert's activation rows. Experts with more go on with the same blocks.
constexpr uint32_t kMostExpertTiles = 4;

// How many `size`s it takes.
uint32_t count_of(uint32_t all, uint32_t size) {
  return static_cast<uint32_t>(divide_up(all, size));
}

bool is_plain(const quant::Format& format) {
  return format.block_values == 1 && !is_half(format);
}

// Where the form that the weights want lies in the operand's rows.
void set_input(const device::Operand& in, const quant::Format& format, MatmulArgs& args) {
  const uint32_t width = in.width, forms = in.forms;
  CHECK((forms & Matmul::form_of(format)) != 0);
  args.in = reinterpret_cast<const uint8_t*>(in.data);
  args.in_row_bytes = operand_row_bytes(width, forms);
  if (is_plain(format)) {
    args.numbers_at = float_at(width, forms);
  } else if (is_half(format)) {
    args.numbers_at = half_at(width, forms);
    args.scales_at = half_scales_at(width, forms);
  } else {
    args.scales_at = int8_scales_at(width);
    args.half_scales_at = int8_halves_at(width);
  }
}

// Numbers the tiles of all parts through.
void set_tiles(uint32_t tile_rows, MatmulArgs& args) {
  args.tiles = 0;
  for (uint32_t i = 0; i < args.part_count; ++i) {
    args.parts[i].first_tile = args.tiles;
    args.tiles += count_of(args.parts[i].rows, tile_rows);
  }
}

}  // namespace

// Parts of one format on one operand. Which activation rows a block gets: see kernels/matmul.cuh.
struct Matmul::Work {
  const quant::Format* format = nullptr;
  MatmulArgs args{};
  uint32_t groups = 1;  // experts, or entries of the list of slots
  uint32_t rows = 0;    // activation rows of a group: all, or about as many
};

Status Matmul::prepare(const quant::Format& format) {
  if (prepared(format)) return {};
  const std::string name = std::string("matmul_") + format.name;
  FormatKernels found;
  if (is_plain(format)) {
    ASSIGN_OR_RETURN(found.few[0], kernels_.find("matmul_plain", name + "_one"));
    ASSIGN_OR_RETURN(found.many, kernels_.find("matmul_plain", name + "_many"));
  } else {
    std::string source = name;
    std::ranges::transform(source, source.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
    const uint32_t shared = kernels_.chip().shared_bytes_per_block;
    for (size_t i = 0; i < found.few.size(); ++i) {
      ASSIGN_OR_RETURN(found.few[i], kernels_.find(source, name + "_few_" + std::to_string(kFewTokens[i]), shared));
    }
    ASSIGN_OR_RETURN(found.many, kernels_.find(source, name + "_many", shared));
  }
  formats_.emplace(format.type, found);
  return {};
}

device::OperandForms Matmul::form_of(const quant::Format& format) {
  return is_plain(format) ? kFloatForm : is_half(format) ? kHalfForm : kInt8Form;
}

void Matmul::project(const device::Operand& in, uint32_t rows, std::span<const device::Projection> outs,
                     LaunchList& list) const {
  std::vector<bool> done(outs.size());
  for (size_t first = 0; first < outs.size(); ++first) {
    if (done[first]) continue;
    Work work;
    work.format = outs[first].weight.format;
    work.rows = rows;
    MatmulArgs& args = work.args;
    for (size_t i = first; i < outs.size() && args.part_count < kMaxParts; ++i) {
      const device::Projection& out = outs[i];
      if (done[i] || out.weight.format != work.format) continue;
      CHECK(out.weight.cols == in.width && out.stride >= out.weight.rows);
      done[i] = true;
      args.parts[args.part_count++] = {out.weight.data,   out.weight.data + out.weight.bytes(),
                                       out.bias.data,     out.out,
                                       out.weight.rows,   out.stride,
                                       out.add ? 1u : 0u, 0};
    }
    args.count = rows;
    args.slots_per_row = 1;
    args.cols = in.width;
    args.row_bytes = static_cast<uint32_t>(outs[first].weight.row_bytes());
    set_input(in, *work.format, args);
    launch(work, list);
    if (first > 0) list.beside_last();  // another format's kernel, which writes another result
  }
}

void Matmul::project_experts(const device::Operand& in, ExpertInput input, const ExpertGroups& groups,
                             std::span<const ExpertProjection> outs, LaunchList& list) const {
  std::vector<bool> done(outs.size());
  for (size_t first = 0; first < outs.size(); ++first) {
    if (done[first]) continue;
    Work work;
    work.format = outs[first].weight.format;
    MatmulArgs& args = work.args;
    for (size_t i = first; i < outs.size() && args.part_count < kMaxParts; ++i) {
      const ExpertProjection& out = outs[i];
      if (done[i] || out.weight.format != work.format) continue;
      CHECK(out.weight.cols == in.width && out.weight.rows % groups.experts == 0);
      done[i] = true;
      args.parts[args.part_count++] = {out.weight.data,
                                       out.weight.data + out.weight.bytes(),
                                       nullptr,
                                       out.out,
                                       out.weight.rows / groups.experts,
                                       out.stride,
                                       0,
                                       0};
    }
    args.offsets = groups.offsets;
    args.slots = groups.slots;
    args.count = groups.slot_count;
    args.experts = groups.experts;
    args.slots_per_row = input == ExpertInput::kToken ? groups.used : 1;
    args.by_slot = groups.slot_count < groups.experts ? 1 : 0;
    args.cols = in.width;
    args.row_bytes = static_cast<uint32_t>(outs[first].weight.row_bytes());
    work.groups = std::min(groups.slot_count, groups.experts);
    work.rows = count_of(groups.slot_count, work.groups);
    set_input(in, *work.format, args);
    launch(work, list);
    if (first > 0) list.beside_last();  // another format's kernel, which writes another result
  }
}

void Matmul::launch(const Work& work, LaunchList& list) const {
  if (is_plain(*work.format))
    launch_plain(work, list);
  else if (work.rows <= kMostFewRows)
    launch_few(work, list);
  else
    launch_many(work, list);
}

void Matmul::launch_plain(const Work& work, LaunchList& list) const {
  const FormatKernels& kernels = formats_.at(work.format->type);
  MatmulArgs args = work.args;
  set_tiles(kPlainRows, args);
  const bool one = work.rows == 1;
  const Extent grid{count_of(args.tiles, kPlainWarps), work.groups, one ? 1 : count_of(work.rows, kPlainTokens)};
  list.add(one ? kernels.few[0] : kernels.many, grid, {kPlainWarps * 32}, 0, args);
}

void Matmul::launch_few(const Work& work, LaunchList& list) const {
  size_t variant = 0;
  while (variant + 1 < std::size(kFewTokens) && kFewTokens[variant] < work.rows) ++variant;
  const uint32_t tokens = kFewTokens[variant];
  MatmulArgs args = work.args;
  set_tiles(kTileRows, args);
  const FewPlan plan =
      plan_few(chunk_format(*work.format), tokens, args.cols, uint64_t{args.tiles} * work.groups, kernels_.chip());
  args.splits = plan.splits;
  args.split_inverse = split_inverse(plan.splits);
  args.block_tiles = plan.tiles;
  args.round_chunks = plan.round_chunks;
  const Extent grid{count_of(args.tiles, plan.tiles), work.groups, count_of(work.rows, tokens)};
  list.add(formats_.at(work.format->type).few[variant], grid, {plan.warps * 32}, plan.shared_bytes, args);
}

void Matmul::launch_many(const Work& work, LaunchList& list) const {
  MatmulArgs args = work.args;
  set_tiles(kManyRows, args);
  const ManyPlan plan = plan_many(chunk_format(*work.format), kernels_.chip());
  args.stages = plan.stages;
  uint32_t tiles = count_of(work.rows, kManyTokens);
  if (args.offsets != nullptr) tiles = std::min(tiles, kMostExpertTiles);
  const Extent grid{tiles, work.groups, count_of(args.tiles, plan.warps)};
  list.add(formats_.at(work.format->type).many, grid, {plan.warps * 32}, plan.shared_bytes, args);
}

}  // namespace hearth::cuda
