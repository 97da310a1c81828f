#include "quant/super_block.h"

#include <algorithm>
#include <cmath>

#include "quant/packed.h"

namespace hearth::quant {
namespace {

int nearest_in(float value, int low, int high) {
  return static_cast<int>(std::lrintf(std::clamp(value, static_cast<float>(low), static_cast<float>(high))));
}

float quotient(float a, float b) {
  return b != 0 ? a / b : 0;
}

// Sums over one sub-block for its rounding q.
struct SubSums {
  float w = 0, wx = 0, wq = 0, wqq = 0, wxq = 0;

  template <class Q>
  SubSums(const float* x, const float* weights, size_t n, const Q* q) {
    for (size_t i = 0; i < n; ++i) {
      const float value = static_cast<float>(q[i]), weighted = weights[i] * value;
      w += weights[i];
      wx += weights[i] * x[i];
      wq += weighted;
      wqq += weighted * value;
      wxq += weighted * x[i];
    }
  }
  // Error of x ~ scale * q + offset, without the constant sum w x^2.
  float error(float scale, float offset) const {
    return scale * (scale * wqq + 2 * offset * wq - 2 * wxq) + offset * (offset * w - 2 * wx);
  }
};

// Rounds one sub-block given the super-block's d and dmin; tries the scales next to the wanted one,
// each with the offset that suits its rounding.
void place_sub_block(const float* x, const float* w, size_t n, size_t s, Affine wanted, int scale_high, int high,
                     AffineSuper* out) {
  uint8_t* best_q = out->q + s * n;
  const int middle = nearest_in(quotient(wanted.scale, out->d), 0, scale_high);
  float best = 0;
  bool found = false;
  for (int scale = std::max(0, middle - 1); scale <= std::min(scale_high, middle + 1); ++scale) {
    const float d = out->d * static_cast<float>(scale);
    int min = nearest_in(quotient(-wanted.offset, out->dmin), 0, scale_high);
    for (int round = 0; round < 2; ++round) {
      uint8_t q[32];
      quantize(x, n, {d, -out->dmin * static_cast<float>(min)}, high, q);
      const SubSums sums(x, w, n, q);
      const int better =
          sums.w > 0 ? nearest_in(quotient(d * sums.wq - sums.wx, sums.w * out->dmin), 0, scale_high) : min;
      const float error = sums.error(d, -out->dmin * static_cast<float>(better));
      if (!found || error < best) {
        found = true;
        best = error;
        out->scales[s] = static_cast<uint8_t>(scale);
        out->mins[s] = static_cast<uint8_t>(better);
        std::copy(q, q + n, best_q);
      }
      if (better == min) break;
      min = better;
    }
  }
}

// The least-squares d and dmin for the integers that were chosen.
void refit(const Samples& samples, size_t sub_values, AffineSuper* out) {
  float aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;  // x ~ d a - dmin b, a = scale q, b = min
  for (size_t s = 0; s < kSuper_values / sub_values; ++s) {
    const size_t at = s * sub_values;
    const SubSums sums(samples.x + at, samples.w + at, sub_values, out->q + at);
    const float scale = out->scales[s], min = out->mins[s];
    aa += scale * scale * sums.wqq;
    ab += scale * min * sums.wq;
    bb += min * min * sums.w;
    ax += scale * sums.wxq;
    bx += min * sums.wx;
  }
  const float determinant = aa * bb - ab * ab;
  if (determinant > 1e-6f * aa * bb) {
    const float d = (ax * bb - bx * ab) / determinant, dmin = (ax * ab - bx * aa) / determinant;
    if (d > 0 && dmin >= 0) out->d = round_to_half(d), out->dmin = round_to_half(dmin);
  } else if (aa > 0 && ax > 0) {
    out->d = round_to_half(ax / aa);
  }
}

}  // namespace

AffineSuper fit_affine_super(const Samples& samples, size_t sub_values, int scale_high, int high) {
  const size_t subs = kSuper_values / sub_values;
  Affine wanted[16];
  float largest_scale = 0, largest_min = 0;
  for (size_t s = 0; s < subs; ++s) {
    const size_t at = s * sub_values;
    wanted[s] = fit_affine(samples.x + at, samples.w + at, sub_values, high, Offset::kNotPositive);
    largest_scale = std::max(largest_scale, wanted[s].scale);
    largest_min = std::max(largest_min, -wanted[s].offset);
  }
  AffineSuper out;
  out.d = round_to_half(largest_scale / static_cast<float>(scale_high));
  out.dmin = round_to_half(largest_min / static_cast<float>(scale_high));
  for (int round = 0; round < 2; ++round) {
    if (round != 0) refit(samples, sub_values, &out);
    for (size_t s = 0; s < subs; ++s) {
      const size_t at = s * sub_values;
      place_sub_block(samples.x + at, samples.w + at, sub_values, s, wanted[s], scale_high, high, &out);
    }
  }
  return out;
}

ScaledSuper fit_scaled_super(const Samples& samples, size_t sub_values, int scale_low, const Levels& levels) {
  const size_t subs = kSuper_values / sub_values;
  float wanted[16], top = 0;
  for (size_t s = 0; s < subs; ++s) {
    const size_t at = s * sub_values;
    wanted[s] = levels.fit(samples.x + at, samples.w + at, sub_values);
    if (std::fabs(wanted[s]) > std::fabs(top)) top = wanted[s];
  }
  ScaledSuper out;
  out.d = round_to_half(-top / static_cast<float>(scale_low));
  for (int round = 0; round < 2; ++round) {
    float aa = 0, ax = 0;
    for (size_t s = 0; s < subs; ++s) {
      const size_t at = s * sub_values;
      const int scale = nearest_in(quotient(wanted[s], out.d), -scale_low, scale_low - 1);
      out.scales[s] = static_cast<int8_t>(scale);
      levels.round(samples.x + at, sub_values, out.d * static_cast<float>(scale), out.q + at);
      const SubSums sums(samples.x + at, samples.w + at, sub_values, out.q + at);
      aa += static_cast<float>(scale * scale) * sums.wqq;
      ax += static_cast<float>(scale) * sums.wxq;
    }
    if (round == 0 && aa > 0) out.d = round_to_half(ax / aa);
  }
  return out;
}

}  // namespace hearth::quant
