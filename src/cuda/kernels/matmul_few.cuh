// Few activation rows: every weight is read once for up to kTokens of them.
//
// A block has a few warps; `splits` of them share one tile of 16 weight rows (of one expert), warp s taking chunks
// s, s + splits, ... Each keeps the next chunk on its way while it multiplies one. After every round their sums
// are added up in order. Grid: x groups of tiles, y experts, z activation rows.
#pragma once

#include "cuda/kernels/matmul.cuh"

namespace hearth::cuda {

#ifdef __CUDA_ARCH__
inline constexpr uint32_t kFewStages = few_stages(__CUDA_ARCH__ / 10);
#else
inline constexpr uint32_t kFewStages = 1;  // the host's side of the compilation
#endif

// Shared memory of one warp.
template <class Format, uint32_t kTokens>
struct FewStage {
  static constexpr ChunkFormat kFormat = Shape<Format>::kFormat;
  static constexpr uint32_t kStageBytes = few_stage_bytes(kFormat, kTokens);
  static constexpr uint32_t kBytes = few_warp_bytes(kFormat, kTokens, kFewStages);
  uint8_t* at;

  __device__ uint8_t* raw(uint32_t stage) const { return at + stage * kStageBytes; }
  __device__ Activations<kTokens> activations(uint32_t stage) const {
    return {raw(stage) + kTileRows * Shape<Format>::kRaw.pitch};
  }
  __device__ RowScales<Format, kTileRows> scales() const { return {at + kFewStages * kStageBytes}; }
};

template <class Format, uint32_t kTokens>
class FewProduct {
 public:
  __device__ FewProduct(const MatmulArgs& args, uint8_t* shared, uint32_t expert)
      : args_(args), warps_(blockDim.x / 32), tiles_(args.block_tiles), stage_{shared + warp() * Stage::kBytes} {
    partial_ = reinterpret_cast<float*>(shared + warps_ * Stage::kBytes);
    totals_ = partial_ + tiles_ * args.round_chunks * args.splits * kTokens * kPartialPitch;
    rows_ = reinterpret_cast<uint32_t*>(totals_ + tiles_ * kTokens * kPartialPitch);
    chunks_ = (args.cols + Shape<Format>::kChunk - 1) / Shape<Format>::kChunk;
    first_tile_ = blockIdx.x * tiles_;
    own_tile_ = warp() * args.split_inverse >> kSplit_inverse_bits;
    split_ = warp() - own_tile_ * args.splits;
    const uint32_t tile = first_tile_ + own_tile_;
    works_ = own_tile_ < tiles_ && tile < args.tiles;
    if (works_) {
      tile_ = row_tile(args, tile, kTileRows, expert);
      plain_chunks_ = plain_chunks<Format, kTileRows>(tile_, args.row_bytes);
      if (kKeeps_units && args.row_bytes % 16 == 0) {
        aligned_chunks_ = plain_chunks_;
        units_.find(args.row_bytes);
      }
    }
    expert_ = expert;
  }

  // Activation rows [first, first + count) of the group.
  __device__ void run(const Group& group, uint32_t first, uint32_t count) {
    count_ = count;
    __syncthreads();
    if (threadIdx.x < count) {
      rows_[kTokens + threadIdx.x] = result_row(args_, group, first + threadIdx.x);
      rows_[threadIdx.x] = operand_row(args_, rows_[kTokens + threadIdx.x]);
    }
    __syncthreads();
    uint32_t chunk = split_, stage = 0;
    if (works_ && kFewStages > 1) copy(chunk, 0);
    const uint32_t round = args_.round_chunks * args_.splits;
    for (uint32_t done = 0; done < chunks_; done += round) {
      for (uint32_t i = 0; i < args_.round_chunks; ++i, chunk += args_.splits) {
        if (!works_ || chunk >= chunks_) continue;
        copy(chunk + (kFewStages - 1) * args_.splits, (stage + kFewStages - 1) % kFewStages);
        wait_for_copies<kFewStages - 1>();
        __syncwarp();
        multiply(chunk, stage, chunk - done);
        __syncwarp();
        stage = (stage + 1) % kFewStages;
      }
      __syncthreads();
      add_up(done, min(round, chunks_ - done));
      __syncthreads();
    }
  }

 private:
  static constexpr bool kKeeps_units = kTokens <= 16;  // the sums of more need the registers
  using Stage = FewStage<Format, kTokens>;
  using Product = WarpProduct<Format, 1, kTokens>;

  __device__ static uint32_t warp() { return threadIdx.x / 32; }
  __device__ uint32_t groups_of(uint32_t chunk) const {
    return (min(Shape<Format>::kChunk, args_.cols - chunk * Shape<Format>::kChunk) + 63) / 64;
  }

  // An empty group of copies if there is no such chunk.
  __device__ void copy(uint32_t chunk, uint32_t stage) const {
    if (chunk < chunks_) {
      if (kKeeps_units && chunk < aligned_chunks_)
        units_.copy(stage_.raw(stage), tile_.weight + static_cast<uint64_t>(chunk) * Shape<Format>::kRaw.bytes);
      else
        copy_weights<Format, kTileRows>(stage_.raw(stage), tile_, args_.row_bytes, chunk, plain_chunks_);
      copy_activations<Format, kTokens>(stage_.activations(stage), args_, rows_, count_, chunk, groups_of(chunk),
                                        lane_of_warp(), 32);
    }
    end_copies();
  }

  __device__ void multiply(uint32_t chunk, uint32_t stage, uint32_t slot) const {
    if constexpr (!Format::kHalves) {
      unpack_scales<Format, kTileRows>(stage_.scales(), stage_.raw(stage), tile_, args_.row_bytes, chunk,
                                       min(8u, (args_.cols - chunk * kInt8Chunk) / 32));
      __syncwarp();
    }
    Sums<1, kTokens> sums;
    sums.clear();
    Product::add_chunk(stage_.raw(stage), tile_, args_, chunk, groups_of(chunk), stage_.scales(),
                       stage_.activations(stage), count_ - 1, sums);
    float* to = partial_ + (own_tile_ * args_.round_chunks * args_.splits + slot) * kTokens * kPartialPitch;
#pragma unroll
    for (uint32_t j = 0; j < Sums<1, kTokens>::kColumns; ++j)
#pragma unroll
      for (uint32_t i = 0; i < 4; i += Product::kResultStep)
        to[result_token<kTokens>(j, i) * kPartialPitch + i / 2 * 8 + lane_g()] = sums.of[0][j][i];
  }

  // The block adds `count` chunks' sums to the totals, in order; after the last chunk it stores the results.
  __device__ void add_up(uint32_t done, uint32_t count) const {
    for (uint32_t i = threadIdx.x; i < tiles_ * kTokens * kTileRows; i += blockDim.x) {
      const uint32_t row = i % kTileRows, token = i / kTileRows % kTokens, t = i / (kTileRows * kTokens);
      if (token >= count_ || first_tile_ + t >= args_.tiles) continue;
      float& kept = totals_[(t * kTokens + token) * kPartialPitch + row];
      float total = done == 0 ? 0 : kept;
      const float* from = partial_ + (t * args_.round_chunks * args_.splits * kTokens + token) * kPartialPitch + row;
      for (uint32_t c = 0; c < count; ++c) total = __fadd_rn(total, from[c * kTokens * kPartialPitch]);
      if (done + count < chunks_) {
        kept = total;
        continue;
      }
      const RowTile tile = row_tile(args_, first_tile_ + t, kTileRows, expert_);
      if (row < tile.rows) store_result(tile, row, rows_[kTokens + token], total);
    }
  }

  const MatmulArgs& args_;
  uint32_t warps_, tiles_;  // of this block
  Stage stage_;
  float *partial_, *totals_;   // [tile][chunk of the round][activation row][kPartialPitch], the same without chunks
  uint32_t* rows_;             // kTokens rows of the operand, then of the result
  uint32_t own_tile_, split_;  // of this warp
  uint32_t chunks_, plain_chunks_ = 0, aligned_chunks_ = 0, first_tile_, expert_, count_ = 0;
  bool works_;
  RowTile tile_{};
  LaneUnits<Format, kTileRows> units_;
};

template <class Format, uint32_t kTokens>
__device__ void multiply_few(const MatmulArgs& args) {
  extern __shared__ uint4 shared_units[];
  const Group group = find_group(args, blockIdx.y);
  if (blockIdx.z * kTokens >= group.count) return;
  FewProduct<Format, kTokens> product(args, reinterpret_cast<uint8_t*>(shared_units), group.expert);
  for (uint32_t first = blockIdx.z * kTokens; first < group.count; first += gridDim.z * kTokens)
    product.run(group, first, min(kTokens, group.count - first));
}

}  // namespace hearth::cuda
