// Weights that are plain numbers - F32, and the integers and doubles that GGUF files may hold - times float32.
//
// Lane l sums columns 128 i + 4 l .. + 3 in their order; the lanes' sums are added like a tree. That is the same
// for every tile, so results do not depend on how many rows are multiplied together. A warp multiplies kPlainRows
// weight rows by one or by kPlainTokens activation rows. Grid: x groups of tiles, y experts, z activation rows.
#include "cuda/kernels/matmul.cuh"

namespace hearth::cuda {
namespace {

struct F32 {
  using Value = float;
};
struct F64 {
  using Value = double;
};
struct I8 {
  using Value = int8_t;
};
struct I16 {
  using Value = int16_t;
};
struct I32 {
  using Value = int32_t;
};
struct I64 {
  using Value = int64_t;
};

// Four columns from `column` on; those from `cols` on are 0. `whole`: rows begin at multiples of 16 bytes.
template <class Value>
__device__ void load_four(const uint8_t* row, uint32_t column, uint32_t cols, bool whole, float (&to)[4]) {
  const Value* at = reinterpret_cast<const Value*>(row) + column;
  if (sizeof(Value) == 4 && whole && column + 4 <= cols) {
    union {
      uint4 bits;
      Value values[4];
    } four{__ldg(reinterpret_cast<const uint4*>(at))};
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) to[i] = static_cast<float>(four.values[i]);
    return;
  }
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) to[i] = column + i < cols ? static_cast<float>(__ldg(at + i)) : 0;
}

template <class Value, uint32_t kTokens>
__device__ void multiply_plain(const MatmulArgs& args) {
  const Group group = find_group(args, blockIdx.y);
  const uint32_t index = blockIdx.x * kPlainWarps + threadIdx.x / 32;
  if (index >= args.tiles) return;
  const RowTile tile = row_tile(args, index, kPlainRows, group.expert);
  const bool whole = args.row_bytes % 16 == 0;
  for (uint32_t first = blockIdx.z * kTokens; first < group.count; first += gridDim.z * kTokens) {
    const uint32_t count = min(kTokens, group.count - first);
    const float* in[kTokens];
#pragma unroll
    for (uint32_t t = 0; t < kTokens; ++t) {
      const uint32_t row = operand_row(args, result_row(args, group, first + min(t, count - 1)));
      in[t] =
          reinterpret_cast<const float*>(args.in + static_cast<uint64_t>(row) * args.in_row_bytes + args.numbers_at);
    }
    float sums[kPlainRows][kTokens] = {};
    for (uint32_t column = lane_of_warp() * 4; column < args.cols; column += 128) {
      float w[kPlainRows][4];
#pragma unroll
      for (uint32_t r = 0; r < kPlainRows; ++r)
        load_four<Value>(tile.weight + static_cast<uint64_t>(min(r, tile.rows - 1)) * args.row_bytes, column, args.cols,
                         whole, w[r]);
#pragma unroll
      for (uint32_t t = 0; t < kTokens; ++t) {
        const float4 x = __ldg(reinterpret_cast<const float4*>(in[t] + column));
#pragma unroll
        for (uint32_t r = 0; r < kPlainRows; ++r) {
          sums[r][t] = __fmaf_rn(w[r][0], x.x, sums[r][t]);
          sums[r][t] = __fmaf_rn(w[r][1], x.y, sums[r][t]);
          sums[r][t] = __fmaf_rn(w[r][2], x.z, sums[r][t]);
          sums[r][t] = __fmaf_rn(w[r][3], x.w, sums[r][t]);
        }
      }
    }
    static_assert(kPlainRows * kTokens <= 32);
    const uint32_t mine_r = lane_of_warp() / kTokens, mine_t = lane_of_warp() % kTokens;
    float mine = 0;  // every lane stores one result
#pragma unroll
    for (uint32_t r = 0; r < kPlainRows; ++r)
#pragma unroll
      for (uint32_t t = 0; t < kTokens; ++t) {
        const float sum = warp_sum(sums[r][t]);
        if (r == mine_r && t == mine_t) mine = sum;
      }
    if (mine_r < tile.rows && mine_t < count) store_result(tile, mine_r, result_row(args, group, first + mine_t), mine);
  }
}

}  // namespace

#define HEARTH_MATMUL_PLAIN(Type)                                                                                 \
  extern "C" __global__ void __launch_bounds__(kPlainWarps * 32, 3) matmul_##Type##_one(const MatmulArgs args) {  \
    multiply_plain<Type::Value, 1>(args);                                                                         \
  }                                                                                                               \
  extern "C" __global__ void __launch_bounds__(kPlainWarps * 32, 3) matmul_##Type##_many(const MatmulArgs args) { \
    multiply_plain<Type::Value, kPlainTokens>(args);                                                              \
  }

HEARTH_MATMUL_PLAIN(F32)
HEARTH_MATMUL_PLAIN(F64)
HEARTH_MATMUL_PLAIN(I8)
HEARTH_MATMUL_PLAIN(I16)
HEARTH_MATMUL_PLAIN(I32)
HEARTH_MATMUL_PLAIN(I64)

}  // namespace hearth::cuda
