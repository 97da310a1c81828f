// Element-wise kernels on rows of float32: norms, activations, quantisation of operands.
//
// What is not finite goes in and comes out not finite, so that broken numbers reach the logits, where they are seen.
// max() and limits swallow them: 0 * x, which is NaN for them and nothing for numbers, brings them back.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>

#include "cpu/operand.h"

namespace hearth::cpu {

// e^x, relative error below 2e-7; 0 below -87.3, e^88 above 88, NaN of NaN (Cephes' range reduction and polynomial).
template <class V>
[[gnu::always_inline]] inline typename V::F exponential(typename V::F x) {
  using F = typename V::F;
  x = V::max(V::set(-88.0f), V::min(V::set(88.0f), x));  // of NaN and a number both give what comes second
  const F n = V::round(V::mul(x, V::set(1.44269504088896341f)));
  const F r = V::fma(n, V::set(2.12194440e-4f), V::fma(n, V::set(-0.693359375f), x));
  F p = V::set(1.9875691500e-4f);
  p = V::fma(p, r, V::set(1.3981999507e-3f));
  p = V::fma(p, r, V::set(8.3334519073e-3f));
  p = V::fma(p, r, V::set(4.1665795894e-2f));
  p = V::fma(p, r, V::set(1.6666665459e-1f));
  p = V::fma(p, r, V::set(5.0000001201e-1f));
  p = V::fma(p, V::mul(r, r), V::add(r, V::set(1.0f)));
  return V::mul(p, V::exp2_int(n));  // n >= -127: at -127 the factor is 0
}

template <class V>
[[gnu::always_inline]] inline typename V::F hyperbolic_tangent(typename V::F x) {
  // 1 - 2 / (e^2x + 1): exact to rounding for large |x|; the absolute error near 0 stays below 1e-7.
  const auto e = exponential<V>(V::add(x, x));
  return V::sub(V::set(1), V::div(V::set(2), V::add(e, V::set(1))));
}

// f(load, store, i) over all of [0, n): whole vectors, then the rest.
template <class V, class Body>
[[gnu::always_inline]] inline void for_vectors(uint32_t n, Body&& body) {
  uint32_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes)
    body(
        i, [](const float* p) { return V::load(p); }, [](float* p, typename V::F x) { V::store(p, x); });
  if (const int rest = static_cast<int>(n - i); rest > 0)
    body(
        i, [rest](const float* p) { return V::load_n(p, rest); },
        [rest](float* p, typename V::F x) { V::store_n(p, x, rest); });
}

// Writes one row in the form of kBlocks; see QuantBlock.
template <class V>
void quantize_row(const float* in, uint32_t width, QuantBlock* out) {
  using F = typename V::F;
  alignas(64) float padded[kBlock];
  for (uint32_t at = 0; at < width; at += kBlock, ++out) {
    const float* x = in + at;
    if (width - at < kBlock) {
      std::memset(padded, 0, sizeof padded);
      std::memcpy(padded, x, (width - at) * sizeof(float));
      x = padded;
    }
    // As integers magnitudes have the order of their values, with infinity above them and NaN above that.
    auto largest = V::zero_int();
    for (uint32_t i = 0; i < kBlock; i += V::kLanes) largest = V::max_int(largest, V::as_int(V::abs(V::load(x + i))));
    const float most = std::bit_cast<float>(V::highest_int(largest));
    const bool tiny = most <= 1e-30f;  // an all-zero block, or one whose inverse scale would overflow
    const F inverse = V::set(tiny ? 0.0f : 127.0f / most);
    for (uint32_t i = 0; i < kBlock; i += V::kLanes) V::store_i8(out->q + i, V::mul(V::load(x + i), inverse));
    int32_t low = 0, high = 0;
    for (uint32_t i = 0; i < kBlock / 2; ++i) low += out->q[i], high += out->q[kBlock / 2 + i];
    out->scale = tiny ? 0.0f : most / 127.0f;
    out->sum_low = out->scale * static_cast<float>(low);
    out->sum_high = out->scale * static_cast<float>(high);
    out->sum = out->scale * static_cast<float>(low + high);
    out->bias_low = -128 * low;
    out->bias_high = -128 * high;
    out->bias = -128 * (low + high);
  }
}

template <class V>
float sum_of_squares(const float* x, uint32_t n) {
  auto sum = V::zero();
  for_vectors<V>(n, [&](uint32_t i, auto load, auto) {
    const auto y = load(x + i);
    sum = V::fma(y, y, sum);
  });
  return V::sum(sum);
}

// out = x / rms(x) * weight + bias; without a weight it is 1, without a bias 0. out may be x.
template <class V>
void rms_norm(const float* x, const float* weight, const float* bias, uint32_t n, float epsilon, float* out) {
  const float mean = sum_of_squares<V>(x, n) / static_cast<float>(n);
  const auto scale = V::set(1.0f / std::sqrt(mean + epsilon) + 0.0f * mean);
  for_vectors<V>(n, [&](uint32_t i, auto load, auto store) {
    auto y = V::mul(load(x + i), scale);
    if (weight != nullptr) y = V::mul(y, load(weight + i));
    if (bias != nullptr) y = V::add(y, load(bias + i));
    store(out + i, y);
  });
}

// out = (x - mean) / sqrt(variance + epsilon) * weight + bias (bias may be null). out may be x.
template <class V>
void layer_norm(const float* x, const float* weight, const float* bias, uint32_t n, float epsilon, float* out) {
  auto sum = V::zero();
  for_vectors<V>(n, [&](uint32_t i, auto load, auto) { sum = V::add(sum, load(x + i)); });
  const float mean = V::sum(sum) / static_cast<float>(n);
  const auto shift = V::set(mean);
  for_vectors<V>(n, [&](uint32_t i, auto load, auto store) { store(out + i, V::sub(load(x + i), shift)); });
  rms_norm<V>(out, weight, bias, n, epsilon, out);
}

// out = x less its mean and so many standard deviations (of a sample), and at least 0. out may be x.
template <class V>
void above_mean_row(const float* x, float deviations, uint32_t n, float* out) {
  auto sum = V::zero();
  for_vectors<V>(n, [&](uint32_t i, auto load, auto) { sum = V::add(sum, load(x + i)); });
  const auto mean = V::set(V::sum(sum) / static_cast<float>(n));
  for_vectors<V>(n, [&](uint32_t i, auto load, auto store) { store(out + i, V::sub(load(x + i), mean)); });
  const float cut = deviations * std::sqrt(sum_of_squares<V>(out, n) / static_cast<float>(n - 1));
  const auto shift = V::set(cut), lost = V::set(0.0f * cut);
  for_vectors<V>(n, [&](uint32_t i, auto load, auto store) {
    store(out + i, V::add(V::max(V::sub(load(out + i), shift), V::zero()), lost));
  });
}

// out += x.
template <class V>
void add_row(const float* x, uint32_t n, float* out) {
  for_vectors<V>(n, [&](uint32_t i, auto load, auto store) { store(out + i, V::add(load(out + i), load(x + i))); });
}

// out += weight * x.
template <class V>
void add_scaled_row(const float* x, float weight, uint32_t n, float* out) {
  const auto w = V::set(weight);
  for_vectors<V>(n, [&](uint32_t i, auto load, auto store) { store(out + i, V::fma(w, load(x + i), load(out + i))); });
}

// x / (1 + e^-x)
template <class V>
[[gnu::always_inline]] inline typename V::F silu(typename V::F x) {
  return V::div(x, V::add(V::set(1), exponential<V>(V::sub(V::zero(), x))));
}

// The tanh form of GELU (Hendrycks and Gimpel 2016), from and to half precision below 10: ggml reads it
// from a table of halves, and models that people compare with were measured that way.
template <class V>
[[gnu::always_inline]] inline typename V::F gelu_tanh(typename V::F exact) {
  const auto x = V::round_to_half(V::max(exact, V::set(-10)));
  const auto inner =
      V::mul(V::mul(x, V::set(0.79788456080286535588f)), V::fma(V::mul(x, x), V::set(0.044715f), V::set(1)));
  auto y = V::mul(V::mul(V::set(0.5f), x), V::add(V::set(1), hyperbolic_tangent<V>(inner)));
  y = V::fma(exact, V::zero(), y);
  return V::if_less(exact, V::set(10), V::round_to_half(y), exact);
}

template <class V>
[[gnu::always_inline]] inline typename V::F relu(typename V::F x) {
  return V::fma(x, V::zero(), V::max(x, V::zero()));  // what is not finite stays so
}

template <class V>
[[gnu::always_inline]] inline typename V::F clamped_swish(typename V::F exact_gate, typename V::F exact_up) {
  const auto gate = V::min(exact_gate, V::set(7));
  const auto up = V::max(V::set(-7), V::min(exact_up, V::set(7)));
  const auto swish = V::div(gate, V::add(V::set(1), exponential<V>(V::mul(V::set(-1.702f), gate))));
  return V::fma(exact_gate, V::zero(), V::fma(exact_up, V::zero(), V::mul(swish, V::add(up, V::set(1)))));
}

// out = activation(gate) * up; `up` may be null.
template <class V>
void activate_row(device::Activation kind, const float* gate, const float* up, uint32_t n, float* out) {
  const auto apply = [&](auto function) {
    for_vectors<V>(n, [&](uint32_t i, auto load, auto store) {
      auto y = function(load(gate + i));
      if (up != nullptr) y = V::mul(y, load(up + i));
      store(out + i, y);
    });
  };
  switch (kind) {
    case device::Activation::kSilu:
      return apply([](auto x) { return silu<V>(x); });
    case device::Activation::kQuickGelu:
      return apply([](auto x) { return V::div(x, V::add(V::set(1), exponential<V>(V::mul(V::set(-1.702f), x)))); });
    case device::Activation::kGeluTanh:
      return apply([](auto x) { return gelu_tanh<V>(x); });
    case device::Activation::kRelu:
      return apply([](auto x) { return relu<V>(x); });
    case device::Activation::kReluSquared:
      return apply([](auto x) { return V::mul(relu<V>(x), relu<V>(x)); });
    case device::Activation::kSigmoid:
      return apply([](auto x) { return V::div(V::set(1), V::add(V::set(1), exponential<V>(V::sub(V::zero(), x)))); });
    case device::Activation::kClampedSwish:
      return for_vectors<V>(n, [&](uint32_t i, auto load, auto store) {
        store(out + i, clamped_swish<V>(load(gate + i), load(up + i)));
      });
  }
}

// x -> cap * tanh(x / cap)
template <class V>
void soft_cap_row(float* x, uint32_t n, float cap) {
  for_vectors<V>(n, [&](uint32_t i, auto load, auto store) {
    const auto value = load(x + i);
    const auto capped = V::mul(V::set(cap), hyperbolic_tangent<V>(V::div(value, V::set(cap))));
    store(x + i, V::fma(value, V::zero(), capped));
  });
}

}  // namespace hearth::cpu
