// One row of one head of a recurrent scan (device::ScanArgs): every value has a vector of the state of its own.
#pragma once

#include "cpu/kernels/scan_row.h"
#include "cpu/kernels/vectors.h"

namespace hearth::cpu {

// state * x over `n` numbers.
template <class V>
[[gnu::always_inline]] inline float scan_product(const float* state, const float* x, uint32_t n) {
  auto sum = V::zero();
  for_vectors<V>(n, [&](uint32_t i, auto load, auto) { sum = V::fma(load(state + i), load(x + i), sum); });
  return V::sum(sum);
}

template <class V>
void scan_row(const ScanRow& row) {
  const uint32_t n = row.key_dim;
  const auto decay = V::set(row.decay);
  for (uint32_t value = 0; value < row.value_dim; ++value) {
    float* const state = row.state + size_t{value} * n;
    float change = row.v[value];
    if (row.delta) change -= row.decay * row.k_scale * scan_product<V>(state, row.k, n);
    const auto factor = V::set(change * row.weight * row.k_scale);
    auto sum = V::zero();
    for_vectors<V>(n, [&](uint32_t i, auto load, auto store) {
      const auto next = V::fma(factor, load(row.k + i), V::mul(decay, load(state + i)));
      store(state + i, next);
      sum = V::fma(next, load(row.q + i), sum);
    });
    row.out[value] = V::sum(sum) * row.q_scale;
  }
}

}  // namespace hearth::cpu
