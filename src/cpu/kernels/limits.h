// What an instruction set can do at best: the loops behind Device::measure_limits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/kernel_table.h"
#include "cpu/kernels/matmul_blocks.h"

namespace hearth::cpu {

inline constexpr int kLimitChains = 12;  // independent sums: enough to hide the latency of an instruction

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

// The factor comes from memory and the sum goes there, so that the compiler cannot do without the rounds.
template <class V>
void float_rounds() {
  volatile float factor = 0.5f;
  const typename V::F x = V::set(factor);
  typename V::F sums[kLimitChains];
  for (auto& sum : sums) sum = V::zero();
  for (int i = 0; i < kLimitRounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = V::fma(sum, x, x);
  }
  for (int i = 1; i < kLimitChains; ++i) sums[0] = V::add(sums[0], sums[i]);
  factor = V::sum(sums[0]);
}

// The fewest instructions that a format needs: 4-bit weights.
template <class V>
void int8_rounds() {
  volatile uint32_t factor = 0x01010101;
  const uint32_t first = factor;
  const QuantBlock unused{};
  typename V::I weights[kLimitChains];  // different ones, or the compiler would see that one sum is enough
  for (uint32_t chain = 0; chain < kLimitChains; ++chain) weights[chain] = V::set_int(first + chain);
  Dot<V, TileKind{32, 15}> dots[kLimitChains];
  auto all = V::zero_int();
  for (int i = 0; i < kLimitRounds / 8; ++i) {
    const typename V::I x = V::set_int(first + static_cast<uint32_t>(i));
#pragma GCC unroll 8
    for (int quad = 0; quad < 8; ++quad)
#pragma GCC unroll 12
      for (int chain = 0; chain < kLimitChains; ++chain) dots[chain].add(unused, 0, quad, weights[chain], x);
#pragma GCC unroll 12
    for (auto& dot : dots) all = V::or_(all, dot.sum());
  }
  factor = static_cast<uint32_t>(V::sum(V::to_float(all)));
}

}  // namespace hearth::cpu
