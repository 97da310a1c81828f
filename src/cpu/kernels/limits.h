// What an instruction set can do at best: the loops behind Device::measure_limits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/kernel_table.h"

namespace hearth::cpu {

inline constexpr int kLimitChains = 12;  // independent sums: enough to hide the latency of an instruction

// Keeps the compiler from knowing (or dropping) a value.
template <class T>
[[gnu::always_inline]] inline void opaque(T& x) {
  asm volatile("" : "+m"(x));
}

template <class V>
uint64_t read_all(const std::byte* data, size_t bytes) {
  auto a = V::zero_int(), b = a, c = a, d = a;
  constexpr size_t kVector = sizeof a;
  for (size_t i = 0; i + 4 * kVector <= bytes; i += 4 * kVector) {
    a = V::or_(a, V::load_int(data + i));
    b = V::or_(b, V::load_int(data + i + kVector));
    c = V::or_(c, V::load_int(data + i + 2 * kVector));
    d = V::or_(d, V::load_int(data + i + 3 * kVector));
  }
  uint64_t words[kVector / 8];
  V::store_int(words, V::or_(V::or_(a, b), V::or_(c, d)));
  return words[0];
}

template <class V>
void float_rounds() {
  typename V::F sums[kLimitChains], x = V::set(0.5f);
  for (auto& sum : sums) sum = V::zero();
  opaque(x);
  for (int i = 0; i < kLimitRounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = V::fma(sum, x, x);
  }
  for (auto& sum : sums) opaque(sum);
}

template <class V>
void int8_rounds() {
  typename V::I sums[kLimitChains], x = V::set_int(0x01010101);
  for (auto& sum : sums) sum = V::zero_int();
  opaque(x);
  for (int i = 0; i < kLimitRounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = V::dot_signed(sum, x, x);
  }
  for (auto& sum : sums) opaque(sum);
}

}  // namespace hearth::cpu
