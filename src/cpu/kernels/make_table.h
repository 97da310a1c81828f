// Builds the kernel table of one instruction set. Included only by kernels_<isa>.cpp, which is compiled
// with that instruction set's flags.
#pragma once

#include "cpu/formats/all.h"
#include "cpu/kernel_table.h"
#include "cpu/kernels/attention.h"
#include "cpu/kernels/limits.h"
#include "cpu/kernels/matmul_blocks.h"
#include "cpu/kernels/matmul_floats.h"
#include "cpu/kernels/scan.h"
#include "cpu/kernels/vectors.h"

namespace hearth::cpu {

template <class V, class Format>
KernelTable::MatmulEntry block_entry() {
  KernelTable::MatmulEntry entry{Format::kType, kBlocks, matmul_blocks<V, Format>, nullptr};
  if constexpr (V::kInterleaves) entry.interleave = interleave_group<V, Format>;
  return entry;
}

template <class V, class... Formats>
std::vector<KernelTable::MatmulEntry> matmul_entries(FormatList<Formats...>) {
  return {block_entry<V, Formats>()...,
          {F32::kType, kFloat, matmul_floats<V, F32>, nullptr},
          {F16::kType, kFloat, matmul_floats<V, F16>, nullptr},
          {BF16::kType, kFloat, matmul_floats<V, BF16>, nullptr}};
}

template <class V>
KernelTable make_table() {
  KernelTable table;
  table.isa = V::kName;
  table.matmuls = matmul_entries<V>(BlockFormats{});
  table.matmul_decoded = matmul_decoded<V>;
  table.packing = {.pieces = [](uint32_t count, uint32_t cols) { return PackedLayout<V>(count, cols).pieces(); },
                   .piece = PackedLayout<V>::kPiece,
                   .pack = [](const float* const* rows, uint32_t count, uint32_t cols, uint32_t piece,
                              float* to) { PackedLayout<V>(count, cols).pack(rows, piece, to); }};
  table.attend = {attend<V, CacheType::kF32>, attend<V, CacheType::kF16>, attend<V, CacheType::kQ8_0>};
  table.attention_rows = V::kAttentionRows;
  table.quantize_row = quantize_row<V>;
  table.rms_norm = rms_norm<V>;
  table.layer_norm = layer_norm<V>;
  table.sum_of_squares = sum_of_squares<V>;
  table.above_mean_row = above_mean_row<V>;
  table.add_row = add_row<V>;
  table.add_scaled_row = add_scaled_row<V>;
  table.activate_row = activate_row<V>;
  table.soft_cap_row = soft_cap_row<V>;
  table.scan_row = scan_row<V>;
  table.read_all = read_all<V>;
  table.float_rounds = float_rounds<V>;
  table.int8_rounds = int8_rounds<V>;
  table.float_round_ops = 2.0 * V::kLanes * kLimitChains;
  table.int8_round_ops = 8.0 * V::kLanes * kLimitChains;
  return table;
}

}  // namespace hearth::cpu
