// Rows of the embedding table as float32, for every weight format: a warp decodes 256 columns at a time.
#include "cuda/kernels/args.h"
#include "cuda/kernels/formats/iq1_m.cuh"
#include "cuda/kernels/formats/iq1_s.cuh"
#include "cuda/kernels/formats/iq2_s.cuh"
#include "cuda/kernels/formats/iq2_xs.cuh"
#include "cuda/kernels/formats/iq2_xxs.cuh"
#include "cuda/kernels/formats/iq3_s.cuh"
#include "cuda/kernels/formats/iq3_xxs.cuh"
#include "cuda/kernels/formats/iq4_nl.cuh"
#include "cuda/kernels/formats/iq4_xs.cuh"
#include "cuda/kernels/formats/mxfp4.cuh"
#include "cuda/kernels/formats/nvfp4.cuh"
#include "cuda/kernels/formats/q2_k.cuh"
#include "cuda/kernels/formats/q3_k.cuh"
#include "cuda/kernels/formats/q4_0.cuh"
#include "cuda/kernels/formats/q4_1.cuh"
#include "cuda/kernels/formats/q4_k.cuh"
#include "cuda/kernels/formats/q5_0.cuh"
#include "cuda/kernels/formats/q5_1.cuh"
#include "cuda/kernels/formats/q5_k.cuh"
#include "cuda/kernels/formats/q6_k.cuh"
#include "cuda/kernels/formats/q8_0.cuh"
#include "cuda/kernels/formats/tq1_0.cuh"
#include "cuda/kernels/formats/tq2_0.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

constexpr uint32_t kChunk = 256;  // columns

__device__ void put(const EmbedKernelArgs& args, uint32_t column, float value) {
  float& out = args.out[size_t{blockIdx.x} * args.width + column];
  out = args.add != 0 ? fmaf(value, args.scale, out) : value * args.scale;
}

// Bytes of whole blocks: a width may end inside a chunk.
template <class Format>
constexpr __device__ uint32_t bytes_of(uint32_t columns) {
  return columns / Format::kBlockValues * Format::kBlockBytes;
}

template <class Format>
__device__ void decode_chunk(const EmbedKernelArgs& args, const uint8_t* bytes, uint32_t first, uint32_t columns) {
  constexpr uint32_t kAlignment = Format::kBlockBytes % 4 == 0 ? 4 : Format::kBlockBytes % 2 == 0 ? 2 : 1;
  constexpr uint32_t kScales = 128 / Format::kScaleColumns;
  const uint32_t group = lane_of_warp() / 4, quad = lane_of_warp() % 4;  // of 64 columns, and 4 of each 16 in them
  if (group * 64 >= columns) return;
  const RawBytes<kAlignment> row(bytes);
  uint32_t words[2][2];
  float scale[kScales], minimum[kScales] = {};
  Format::words(row, group, quad, words);
  Format::scales(row, group / 2, scale, minimum);
#pragma unroll
  for (uint32_t part = 0; part < 4; ++part) {
    const uint32_t column = group * 64 + part * 16 + quad * 4;
    const uint32_t low = part * 16 / Format::kScaleColumns, high = (64 + part * 16) / Format::kScaleColumns;
    const float factor = group % 2 == 0 ? scale[low] : scale[high];
    const float less = group % 2 == 0 ? minimum[low] : minimum[high];
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      if (column + i < columns)
        put(args, first + column + i, factor * signed_byte_of(words[part / 2][part % 2], i) - less);
  }
}

template <class Format>
__device__ void embed_row(const EmbedKernelArgs& args) {
  constexpr uint32_t kBytes = (bytes_of<Format>(kChunk) + 16 + 15) / 16 * 16;  // fields are read as whole words
  __shared__ __align__(16) uint8_t chunks[kEmbedThreads / 32][kBytes];
  const uint32_t first = blockIdx.y * kEmbedValues + threadIdx.x / 32 * kChunk;
  if (first >= args.width) return;  // the whole warp
  const uint32_t columns = min(kChunk, args.width - first), size = bytes_of<Format>(columns);
  const uint8_t* from = args.table + args.rows[blockIdx.x] * args.row_bytes + bytes_of<Format>(first);
  uint8_t* chunk = chunks[threadIdx.x / 32];
  for (uint32_t i = lane_of_warp(); i < kBytes; i += 32) chunk[i] = i < size ? from[i] : 0;
  __syncwarp();
  decode_chunk<Format>(args, chunk, first, columns);
}

// `Load`: value `i` of a row.
template <class Load>
__device__ void embed_plain(const EmbedKernelArgs& args, const Load& load) {
  const uint8_t* row = args.table + args.rows[blockIdx.x] * args.row_bytes;
  const uint32_t end = min(args.width, (blockIdx.y + 1) * kEmbedValues);
  for (uint32_t i = blockIdx.y * kEmbedValues + threadIdx.x; i < end; i += kEmbedThreads) put(args, i, load(row, i));
}

}  // namespace

static_assert(kEmbedThreads / 32 * kChunk == kEmbedValues);

#define EMBED(Format)                                                                                      \
  extern "C" __global__ void __launch_bounds__(kEmbedThreads) embed_##Format(const EmbedKernelArgs args) { \
    embed_row<Format>(args);                                                                               \
  }
EMBED(Q4_0)
EMBED(Q4_1)
EMBED(Q5_0)
EMBED(Q5_1)
EMBED(Q8_0)
EMBED(Q2_K)
EMBED(Q3_K)
EMBED(Q4_K)
EMBED(Q5_K)
EMBED(Q6_K)
EMBED(IQ1_S)
EMBED(IQ1_M)
EMBED(IQ2_XXS)
EMBED(IQ2_XS)
EMBED(IQ2_S)
EMBED(IQ3_XXS)
EMBED(IQ3_S)
EMBED(IQ4_NL)
EMBED(IQ4_XS)
EMBED(TQ1_0)
EMBED(TQ2_0)
EMBED(MXFP4)
EMBED(NVFP4)

#define EMBED_PLAIN(Name, value)                                                                         \
  extern "C" __global__ void __launch_bounds__(kEmbedThreads) embed_##Name(const EmbedKernelArgs args) { \
    embed_plain(args, [](const uint8_t* row, uint32_t i) { return static_cast<float>(value); });         \
  }
EMBED_PLAIN(F32, reinterpret_cast<const float*>(row)[i])
EMBED_PLAIN(F16, half_to_float(reinterpret_cast<const Half*>(row)[i]))
EMBED_PLAIN(BF16, __uint_as_float(uint32_t{reinterpret_cast<const uint16_t*>(row)[i]} << 16))
EMBED_PLAIN(F64, reinterpret_cast<const double*>(row)[i])
EMBED_PLAIN(I8, reinterpret_cast<const int8_t*>(row)[i])
EMBED_PLAIN(I16, reinterpret_cast<const int16_t*>(row)[i])
EMBED_PLAIN(I32, reinterpret_cast<const int32_t*>(row)[i])
EMBED_PLAIN(I64, reinterpret_cast<const int64_t*>(row)[i])

}  // namespace hearth::cuda
