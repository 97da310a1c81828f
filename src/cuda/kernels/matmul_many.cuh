// Many activation rows: a block multiplies 64 of them by 32 weight rows per warp, all columns.
//
// Warps copy and unpack their own weights; the activations are copied for all. `stages` chunks of both are in
// shared memory (1 where there is no room for 2). Grid: x activation rows, y experts, z groups of tiles, so that
// blocks that run together read the same weights.
#pragma once

#include "cuda/kernels/matmul.cuh"

namespace hearth::cuda {

template <class Format>
class ManyProduct {
 public:
  __device__ ManyProduct(const MatmulArgs& args, uint8_t* shared, uint32_t expert)
      : args_(args), warps_(blockDim.x / 32), shared_(shared) {
    scales_.at = shared + args.stages * stage_bytes() + threadIdx.x / 32 * kScaleBytes;
    rows_ = reinterpret_cast<uint32_t*>(shared + args.stages * stage_bytes() + warps_ * kScaleBytes);
    chunks_ = (args.cols + Shape<Format>::kChunk - 1) / Shape<Format>::kChunk;
    const uint32_t tile = blockIdx.z * warps_ + threadIdx.x / 32;
    works_ = tile < args.tiles;
    if (works_) {
      tile_ = row_tile(args, tile, kManyRows, expert);
      plain_chunks_ = plain_chunks<Format, kManyRows>(tile_, args.row_bytes);
    }
  }

  // Activation rows [first, first + count) of the group.
  __device__ void run(const Group& group, uint32_t first, uint32_t count) {
    count_ = count;
    __syncthreads();
    if (threadIdx.x < kManyTokens) {  // behind the last row it is repeated
      rows_[kManyTokens + threadIdx.x] = result_row(args_, group, first + min(threadIdx.x, count - 1));
      rows_[threadIdx.x] = operand_row(args_, rows_[kManyTokens + threadIdx.x]);
    }
    __syncthreads();
    totals_.clear();
    if (args_.stages > 1) copy(0, 0);
    for (uint32_t chunk = 0; chunk < chunks_; ++chunk) {
      const uint32_t stage = args_.stages > 1 ? chunk % 2 : 0;
      if (args_.stages > 1) {
        copy(chunk + 1, 1 - stage);
        wait_for_copies<1>();
      } else {
        copy(chunk, 0);
        wait_for_copies<0>();
      }
      __syncthreads();
      if (works_) multiply(chunk, stage);
      __syncthreads();
    }
    if (works_) store();
  }

 private:
  using Product = WarpProduct<Format, 2, kManyTokens>;
  // many_stage_bytes() of one warp and of what all share.
  static constexpr uint32_t kRawBytes = kManyRows * Shape<Format>::kRaw.pitch;
  static constexpr uint32_t kActivationBytes = activation_bytes(Shape<Format>::kFormat, kManyTokens);
  static constexpr uint32_t kScaleBytes = scale_bytes(Shape<Format>::kFormat, kManyRows);

  __device__ uint32_t stage_bytes() const { return warps_ * kRawBytes + kActivationBytes; }
  __device__ uint8_t* raw(uint32_t stage) const {
    return shared_ + stage * stage_bytes() + threadIdx.x / 32 * kRawBytes;
  }
  __device__ Activations<kManyTokens> activations(uint32_t stage) const {
    return {shared_ + stage * stage_bytes() + warps_ * kRawBytes};
  }
  __device__ uint32_t groups_of(uint32_t chunk) const {
    return (min(Shape<Format>::kChunk, args_.cols - chunk * Shape<Format>::kChunk) + 63) / 64;
  }

  __device__ void copy(uint32_t chunk, uint32_t stage) const {
    if (chunk < chunks_) {
      if (works_) copy_weights<Format, kManyRows>(raw(stage), tile_, args_.row_bytes, chunk, plain_chunks_);
      copy_activations<Format, kManyTokens>(activations(stage), args_, rows_, kManyTokens, chunk, groups_of(chunk),
                                            threadIdx.x, blockDim.x);
    }
    end_copies();
  }

  __device__ void multiply(uint32_t chunk, uint32_t stage) {
    if constexpr (!Format::kHalves) {
      unpack_scales<Format, kManyRows>(scales_, raw(stage), tile_, args_.row_bytes, chunk,
                                       min(8u, (args_.cols - chunk * kInt8Chunk) / 32));
      __syncwarp();
    }
    Sums<2, kManyTokens> sums;
    sums.clear();
    Product::add_chunk(raw(stage), tile_, args_, chunk, groups_of(chunk), scales_, activations(stage), kManyTokens - 1,
                       sums);
#pragma unroll
    for (uint32_t m = 0; m < 2; ++m)
#pragma unroll
      for (uint32_t j = 0; j < kManyTokens / 8; ++j)
#pragma unroll
        for (uint32_t i = 0; i < 4; ++i) totals_.of[m][j][i] = __fadd_rn(totals_.of[m][j][i], sums.of[m][j][i]);
  }

  __device__ void store() const {
#pragma unroll
    for (uint32_t m = 0; m < 2; ++m)
#pragma unroll
      for (uint32_t j = 0; j < kManyTokens / 8; ++j)
#pragma unroll
        for (uint32_t i = 0; i < 4; ++i) {
          const uint32_t row = 16 * m + i / 2 * 8 + lane_g(), token = result_token<kManyTokens>(j, i);
          if (row < tile_.rows && token < count_)
            store_result(tile_, row, rows_[kManyTokens + token], totals_.of[m][j][i]);
        }
  }

  const MatmulArgs& args_;
  uint32_t warps_;
  uint8_t* shared_;
  RowScales<Format, kManyRows> scales_;
  uint32_t* rows_;  // kManyTokens rows of the operand, then of the result
  uint32_t chunks_, plain_chunks_ = 0, count_ = 0;
  bool works_;
  RowTile tile_{};
  Sums<2, kManyTokens> totals_;
};

template <class Format>
__device__ void multiply_many(const MatmulArgs& args) {
  extern __shared__ uint4 shared_units[];
  const Group group = find_group(args, blockIdx.y);
  if (blockIdx.x * kManyTokens >= group.count) return;
  ManyProduct<Format> product(args, reinterpret_cast<uint8_t*>(shared_units), group.expert);
  for (uint32_t first = blockIdx.x * kManyTokens; first < group.count; first += gridDim.x * kManyTokens)
    product.run(group, first, min(kManyTokens, group.count - first));
}

}  // namespace hearth::cuda
