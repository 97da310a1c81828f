// Reading keys and values of a cache page as float32.
#pragma once

#include "cuda/kernels/cache_page.h"
#include "cuda/kernels/numbers.cuh"

namespace hearth::cuda {

__device__ inline float signed_byte(uint32_t word, int index) {
  return static_cast<float>(static_cast<int8_t>(word >> (8 * index)));
}

// unit(): the values of 16 bytes. four(): 4 values from dimension d on, a multiple of 4.
template <PageType kType>
struct PageReader;

template <>
struct PageReader<PageType::kF32> {
  static constexpr uint32_t kUnitValues = 4;
  static __device__ void unit(const uint8_t* row, const Half*, uint32_t index, float* out) {
    const float4 x = reinterpret_cast<const float4*>(row)[index];
    out[0] = x.x, out[1] = x.y, out[2] = x.z, out[3] = x.w;
  }
  static __device__ void four(const uint8_t* row, const Half* scales, uint32_t d, float* out) {
    unit(row, scales, d / 4, out);
  }
};

template <>
struct PageReader<PageType::kF16> {
  static constexpr uint32_t kUnitValues = 8;
  static __device__ void unit(const uint8_t* row, const Half*, uint32_t index, float* out) {
    const uint4 x = reinterpret_cast<const uint4*>(row)[index];
    pair(x.x, out), pair(x.y, out + 2), pair(x.z, out + 4), pair(x.w, out + 6);
  }
  static __device__ void four(const uint8_t* row, const Half*, uint32_t d, float* out) {
    const uint2 x = reinterpret_cast<const uint2*>(row)[d / 4];
    pair(x.x, out), pair(x.y, out + 2);
  }

 private:
  static __device__ void pair(uint32_t word, float* out) {
    const float2 x = halves_to_floats(word);
    out[0] = x.x, out[1] = x.y;
  }
};

template <>
struct PageReader<PageType::kQ8_0> {
  static constexpr uint32_t kUnitValues = 16;
  static __device__ void unit(const uint8_t* row, const Half* scales, uint32_t index, float* out) {
    const uint4 x = reinterpret_cast<const uint4*>(row)[index];
    const float scale = half_to_float(scales[index / 2]);
    word(x.x, scale, out), word(x.y, scale, out + 4), word(x.z, scale, out + 8), word(x.w, scale, out + 12);
  }
  static __device__ void four(const uint8_t* row, const Half* scales, uint32_t d, float* out) {
    word(reinterpret_cast<const uint32_t*>(row)[d / 4], half_to_float(scales[d / kScaleGroup]), out);
  }

 private:
  static __device__ void word(uint32_t bytes, float scale, float* out) {
#pragma unroll
    for (int i = 0; i < 4; ++i) out[i] = scale * signed_byte(bytes, i);
  }
};

}  // namespace hearth::cuda
