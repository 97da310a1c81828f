// A weight row's chunk in shared memory, read at any alignment: what the unpackers of formats/ see.
#pragma once

#include "cuda/kernels/numbers.cuh"

namespace hearth::cuda {

// Fields at offsets from the chunk's start. kAlignment: that of the row's start and of all fields.
template <uint32_t kAlignment>
class RawBytes {
 public:
  __device__ explicit RawBytes(const uint8_t* at) : at_(at) {
    if (kAlignment != 2) return;
    const uint32_t odd = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(at)) & 2;
    even_ = at - odd;
    even_shift_ = odd * 8;
    odd_ = at + odd;
    odd_shift_ = 16 - odd * 8;
  }

  // The four bytes at `fixed` + `more`; `fixed` should be known to the compiler, `more` is a multiple of 4.
  __device__ uint32_t word(uint32_t fixed, uint32_t more) const {
    if constexpr (kAlignment == 4) {
      return aligned(at_, fixed + more);
    } else if constexpr (kAlignment == 2) {
      return fixed % 4 == 0 ? joined(even_, fixed + more, even_shift_) : joined(odd_, fixed - 2 + more, odd_shift_);
    } else {
      const uint8_t* p = at_ + fixed + more;
      const uint32_t skew = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(p)) & 3;
      return joined(p - skew, 0, skew * 8);
    }
  }
  __device__ float half(uint32_t offset) const { return half_to_float(*reinterpret_cast<const Half*>(at_ + offset)); }
  __device__ uint32_t byte(uint32_t offset) const { return at_[offset]; }
  __device__ uint32_t two_bytes(uint32_t offset) const { return *reinterpret_cast<const uint16_t*>(at_ + offset); }
  __device__ const uint8_t* data() const { return at_; }

 private:
  __device__ static uint32_t aligned(const uint8_t* base, uint32_t offset) {
    return *reinterpret_cast<const uint32_t*>(base + offset);
  }
  __device__ static uint32_t joined(const uint8_t* base, uint32_t offset, uint32_t shift) {
    return __funnelshift_r(aligned(base, offset), aligned(base, offset + 4), shift);
  }

  const uint8_t* at_;
  // kAlignment 2, for fields at multiples of 4 and for the others: the aligned word in which a field begins is at
  // its offset (less 2) from here, and the field that many bits into it.
  const uint8_t* even_ = nullptr;
  const uint8_t* odd_ = nullptr;
  uint32_t even_shift_ = 0, odd_shift_ = 0;
};

// Four bytes at once.
__device__ inline uint32_t low_nibbles(uint32_t x) {
  return x & 0x0f0f0f0f;
}
__device__ inline uint32_t bit_pairs(uint32_t x, uint32_t shift) {
  return x >> shift & 0x03030303;
}
__device__ inline uint32_t single_bits(uint32_t x, uint32_t shift) {
  return x >> shift & 0x01010101;
}
// Bits 0 .. 3 to bit 0 of bytes 0 .. 3. The factors 2^0, 2^7, 2^14, 2^21 bring bit i to bit 8 i.
__device__ inline uint32_t spread_bits(uint32_t four) {
  return (four & 15) * 0x00204081 & 0x01010101;
}
// Bytes below 128, less `offset` (at most 128): the top bits keep bytes from borrowing of each other.
template <uint32_t kOffset>
__device__ inline uint32_t less(uint32_t x) {
  return ((x | 0x80808080) - kOffset * 0x01010101) ^ 0x80808080;
}
// Bytes 1 .. 127, negated where `signs` has a 1 in bit 0 of the byte.
__device__ inline uint32_t negated(uint32_t x, uint32_t signs) {
  return (x ^ signs * 255) + signs;
}
// A byte of a word, as a number.
__device__ inline float byte_of(uint32_t x, uint32_t i) {
  return static_cast<float>(x >> 8 * i & 255);
}
__device__ inline float signed_byte_of(uint32_t x, uint32_t i) {
  return static_cast<float>(static_cast<int8_t>(x >> 8 * i & 255));
}

}  // namespace hearth::cuda
