// Ops that are one launch or two: embedding, norms, activations, rotation.
#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "cuda/attend_variant.h"
#include "cuda/device_impl.h"

namespace hearth::cuda {
namespace {

uint32_t blocks(uint64_t items, uint32_t per_block) {
  return static_cast<uint32_t>(divide_up(items, per_block));
}

}  // namespace

Status CudaDevice::find_functions() {
  TRY(modules_.load({"activate", "attention_merge", "candidates", "embed", "experts", "norm", "rotate"}));
  const auto find = [&](CUfunction& function, const char* source, const std::string& name) -> Status {
    ASSIGN_OR_RETURN(function, modules_.find(source, name));
    return {};
  };
  TRY(find(functions_.norm, "norm", "norm_rows"));
  TRY(find(functions_.activate, "activate", "activate"));
  TRY(find(functions_.soft_cap, "activate", "soft_cap"));
  TRY(find(functions_.clamp, "activate", "clamp"));
  TRY(find(functions_.rotate, "rotate", "rotate_append"));
  TRY(find(functions_.merge, "attention_merge", "attend_merge"));
  TRY(find(functions_.route, "experts", "route"));
  TRY(find(functions_.group, "experts", "group_slots"));
  TRY(find(functions_.head_slots, "experts", "head_slots"));
  TRY(find(functions_.combine, "experts", "combine_experts"));
  TRY(find(functions_.candidates, "candidates", "best_of_chunk"));
  TRY(find(functions_.total, "candidates", "total_of_row"));
  for (const quant::Format* format : quant::all_formats())
    TRY(find(functions_.embed[format->type], "embed", fmt::format("embed_{}", format->name)));
  return {};
}

void CudaDevice::embed(const device::EmbedArgs& args) {
  if (rows() == 0) return;
  const StepTables& tables = tables_.tables();
  const auto add = [&](const device::Matrix& table, const uint32_t* table_rows, float scale, bool to_sum) {
    const EmbedKernelArgs kernel{table.data, table_rows, args.out, table.row_bytes(), table.cols, scale, to_sum, 0};
    list_.add(functions_.embed.at(table.format->type), {rows(), blocks(table.cols, kEmbedValues)}, {kEmbedThreads}, 0,
              kernel);
  };
  if (args.table) add(args.table, reinterpret_cast<const uint32_t*>(tables.tokens), args.scale, false);
  if (args.positions) add(args.positions, tables.positions, 1, true);
}

void CudaDevice::norm(const device::NormArgs& args) {
  const bool of_logits = args.logit_rows || args.compacted;
  const uint32_t count = of_logits ? static_cast<uint32_t>(batch_->logit_rows.size()) : rows();
  if (count == 0) return;
  NormKernelArgs kernel{};
  kernel.in = args.in;
  kernel.weight = args.weight.data;
  kernel.bias = args.bias.data;
  kernel.rows = args.logit_rows ? tables_.tables().logit_rows : nullptr;
  kernel.out = args.out;
  if (args.operand.data != nullptr) kernel.operand = operand_rows(args.operand);
  kernel.width = args.weight.size;
  kernel.epsilon = args.epsilon;
  kernel.way = static_cast<NormWay>(args.kind);
  kernel.add = args.add;
  const device::Pieces pieces = args.layout();
  kernel.pieces = pieces.count;
  kernel.in_row = pieces.in_row;
  kernel.in_piece = pieces.in_piece;
  kernel.out_row = pieces.out_row;
  kernel.out_piece = pieces.out_piece;
  kernel.own_weights = pieces.own_weights;
  kernel.like = args.like;
  kernel.factor = args.factor;
  kernel.deviations = args.deviations;
  list_.add(functions_.norm, {count * pieces.count}, {kNormThreads}, 0, kernel);
}

void CudaDevice::mix(const device::MixArgs& args) {
  if (rows() == 0) return;
  static_assert(kMostMixed == device::kMost_mixed);
  CHECK(args.ins <= kMostMixed);
  if (functions_.mix == nullptr) {
    Result<CUfunction> found = in_context([&] { return modules_.find("mix", "mix"); });
    if (!found) return fail(found.error());
    functions_.mix = *found;
  }
  const MixKernelArgs kernel{args.in,  args.out,  args.coefficients, args.in_array, args.out_array,
                             args.ins, args.outs, args.width,        args.offset};
  list_.add(functions_.mix, {blocks(args.width, kMixThreads), rows()}, {kMixThreads}, 0, kernel);
}

void CudaDevice::project(const device::Operand& in, uint32_t count, std::span<const device::Projection> outs) {
  if (count == 0) return;
  for (const device::Projection& out : outs)
    if (Status ready = prepare(*out.weight.format); !ready) return fail(std::move(ready));
  matmul_->project(in, count, outs, list_);
}

void CudaDevice::activate(const device::ActivateArgs& args) {
  if (rows() == 0) return;
  ActivateKernelArgs kernel{};
  kernel.gate = args.gate;
  kernel.up = args.up;
  kernel.values = args.values;
  if (args.values == nullptr) kernel.out = operand_rows(args.out);
  kernel.stride = args.stride;
  kernel.up_stride = args.up_stride != 0 ? args.up_stride : args.stride;
  kernel.width = args.out.width;
  kernel.rows = rows();
  kernel.row_gate = args.row_gate;
  kernel.way = static_cast<ActivationWay>(args.kind);
  list_.add(functions_.activate, {blocks(args.out.width, kActivateThreads), rows()}, {kActivateThreads}, 0, kernel);
}

void CudaDevice::soft_cap(float* values, uint32_t count, uint32_t width, float cap) {
  if (count == 0) return;
  const SoftCapKernelArgs kernel{values, uint64_t{count} * width, cap, 0, 0, 0};
  list_.add(functions_.soft_cap, {blocks(kernel.count, kActivateThreads)}, {kActivateThreads}, 0, kernel);
}

void CudaDevice::clamp(float* values, uint32_t count, uint32_t width, float least, float most) {
  if (count == 0) return;
  const SoftCapKernelArgs kernel{values, uint64_t{count} * width, 0, least, most, 0};
  list_.add(functions_.clamp, {blocks(kernel.count, kActivateThreads)}, {kActivateThreads}, 0, kernel);
}

void CudaDevice::rotate_append(const device::RotateAppendArgs& args) {
  if (rows() == 0) return;
  const device::CacheShape& shape = args.cache.shape;
  RotateKernelArgs kernel{};
  kernel.q = args.q;
  kernel.k = args.k;
  kernel.v = args.k != nullptr && !shape.values_in_keys ? args.v : nullptr;
  kernel.q_norm = args.q_norm.data;
  kernel.k_norm = args.k_norm.data;
  kernel.cache = reinterpret_cast<uint8_t*>(args.cache.data);
  kernel.page_bytes = args.cache.page_bytes;
  kernel.step = tables_.tables();
  kernel.q_stride = args.q_stride;
  kernel.k_stride = args.k_stride;
  kernel.v_stride = args.v_stride;
  kernel.heads = args.heads;
  kernel.kv_heads = shape.kv_heads;
  kernel.key_dim = shape.key_dim;
  kernel.value_dim = shape.value_dim;
  kernel.epsilon = args.epsilon;
  kernel.type = static_cast<PageType>(shape.type);
  kernel.norm_last = args.norm_last;
  kernel.plain_norms = args.plain_norms;
  kernel.growth = args.growth.factor;
  kernel.growth_period = args.growth.period;
  kernel.growth_offset = args.growth.offset;
  if (args.rope != nullptr) {
    std::vector<float> values = args.rope->inverse_frequency;
    values.insert(values.end(), args.rope->axis.begin(), args.rope->axis.end());
    kernel.with_axes = !args.rope->axis.empty();
    auto frequencies = in_context([&] { return tables_.frequencies(values, stream_); });
    if (!frequencies) return fail(frequencies.error());
    kernel.inverse_frequency = *frequencies;
    kernel.rope_first = args.rope->first;
    kernel.rope_dims = args.rope->dims;
    kernel.rope_parts = args.rope->parts;
    kernel.adjacent = args.rope->pairs == device::Rope::Pairs::kAdjacent;
    kernel.magnitude = args.rope->magnitude;
  }
  const uint32_t longest = std::max(shape.key_dim, shape.value_dim);
  list_.add(functions_.rotate, {rows(), blocks(args.heads + 2 * shape.kv_heads, kRotateWarps)}, {kRotateWarps * 32},
            kRotateWarps * longest * static_cast<uint32_t>(sizeof(float)), kernel);
}

}  // namespace hearth::cuda
