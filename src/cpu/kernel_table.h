// The kernels of one instruction set as a value: chosen once at start, forced by a flag, tested each.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/matmul_args.h"
#include "cpu/kernels/scan_row.h"
#include "cpu/operand.h"
#include "device/types.h"
#include "quant/format.h"

namespace hearth::cpu {

inline constexpr int kLimitRounds = 1 << 16;

// Activation rows in the form of MatmulArgs::packed: pieces() pieces of `piece` floats, at a multiple of 64 bytes.
struct Packing {
  uint32_t (*pieces)(uint32_t count, uint32_t cols) = nullptr;
  size_t piece = 0;
  void (*pack)(const float* const* rows, uint32_t count, uint32_t cols, uint32_t piece, float* to) = nullptr;
};

struct KernelTable {
  // Rows [begin, end) of the product; begin is a multiple of kSmallPanelRows, end - begin <= kPanelRows.
  using Matmul = void (*)(const MatmulArgs& args, uint32_t begin, uint32_t end);
  struct MatmulEntry {
    uint32_t type;  // of the weight format
    device::OperandForms form;
    Matmul run;
    // Interleaves kInterleavedRows rows of `row_bytes` (cpu/interleave.h); null: rows stay as they are.
    void (*interleave)(const uint8_t* from, size_t row_bytes, uint8_t* to);
  };

  const char* isa;
  std::vector<MatmulEntry> matmuls;
  void (*matmul_decoded)(const quant::Format& format, const MatmulArgs& args, uint32_t begin,
                         uint32_t end);  // takes kFloat
  Packing packing;                       // for many rows
  // What computes products of many rows in an order of sums of its own: device::Projection::bulk. Null where nothing
  // does.
  struct Bulk {
    Packing packing;         // its activations are always packed
    uint32_t most_rows = 0;  // of weights at once
    void (*matmul)(const quant::Format& format, const MatmulArgs& args, uint32_t begin, uint32_t end) = nullptr;
  } bulk;
  std::array<void (*)(const AttentionBlock& block), 3> attend;  // by CacheType
  uint32_t attention_rows;                                      // most rows of an AttentionBlock

  void (*quantize_row)(const float* in, uint32_t width, QuantBlock* out);
  void (*rms_norm)(const float* x, const float* weight, const float* bias, uint32_t n, float epsilon, float* out);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, uint32_t n, float epsilon, float* out);
  float (*sum_of_squares)(const float* x, uint32_t n);
  void (*above_mean_row)(const float* x, float deviations, uint32_t n, float* out);
  void (*add_row)(const float* x, uint32_t n, float* out);
  void (*add_scaled_row)(const float* x, float weight, uint32_t n, float* out);
  void (*activate_row)(device::Activation kind, const float* gate, const float* up, uint32_t n, float* out);
  void (*soft_cap_row)(float* x, uint32_t n, float cap);
  void (*scan_row)(const ScanRow& row);

  // For measurements: reads `bytes` bytes once; does kLimitRounds times *_round_ops operations in registers.
  uint64_t (*read_all)(const std::byte* data, size_t bytes);
  void (*float_rounds)();
  void (*int8_rounds)();
  double float_round_ops, int8_round_ops;

  ~KernelTable();  // not inline: each instruction set would bring its own, and one would serve all

  // Null if the format has no kernel of its own.
  const MatmulEntry* find(uint32_t type) const {
    for (const MatmulEntry& entry : matmuls)
      if (entry.type == type) return &entry;
    return nullptr;
  }
};

const KernelTable& generic_kernels();
const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
const KernelTable& amx_kernels();  // those of avx512, and bulk
// Of one of supported_isas().
const KernelTable& kernels_of(std::string_view isa);

}  // namespace hearth::cpu
