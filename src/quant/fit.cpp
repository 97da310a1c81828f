#include "quant/fit.h"

#include <algorithm>
#include <cmath>

#include "quant/fit_lanes.h"

namespace hearth::quant {
namespace {

constexpr float kLargest = 0x1p28f;  // above 65504 * 127 * 32, the largest value of any block format
constexpr float kTiny = 1e-30f;      // sums below this come from values that a half-precision scale cannot hold

float clean(float x) {
  return x == x ? std::clamp(x, -kLargest, kLargest) : 0.0f;
}
float clean_weight(float w) {
  return w > 0 ? std::min(w, 1e30f) : 0.0f;
}
constexpr float kLeast_weight = 1e-6f;  // so that values of no importance still come out about right

// Value of the largest magnitude.
float peak(const float* x, size_t n) {
  float best = 0;
  for (size_t i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(best)) best = x[i];
  return best;
}

struct ScaleSums {
  float wxq = 0, wqq = 0;
  float gain() const { return wqq > kTiny ? wxq * wxq / wqq : 0; }  // error saved, at the best scale
  float scale() const { return wqq > kTiny ? wxq / wqq : 0; }
};

ScaleSums scale_sums(const float* x, const float* w, size_t n, float inverse, int low, int high) {
  const Lanes lowest = all_lanes(static_cast<float>(low)), highest = all_lanes(static_cast<float>(high));
  Lanes wxq = all_lanes(0), wqq = all_lanes(0);
  for (size_t i = 0; i < n; i += 4) {
    const Lanes v = load_lanes(x + i);
    const Lanes q = nearest(v * inverse, lowest, highest);
    const Lanes wq = load_lanes(w + i) * q;
    wxq += wq * v;
    wqq += wq * q;
  }
  return {sum(wxq), sum(wqq)};
}

// Sums of which only those with q change with the rounding.
struct AffineSums {
  float w = 0, wx = 0;
  float wq = 0, wqq = 0, wxq = 0;

  // The least-squares line through (q, x); with a zero or forbidden offset the line through 0.
  Affine line(Offset offset) const {
    const float determinant = w * wqq - wq * wq;
    if (determinant > 1e-6f * w * wqq) {
      const Affine fit{(w * wxq - wx * wq) / determinant, (wqq * wx - wq * wxq) / determinant};
      if (fit.scale > 0 && (fit.offset <= 0 || offset == Offset::kAny)) return fit;
    }
    return {wqq > kTiny ? std::max(0.0f, wxq / wqq) : 0, 0};
  }
  // Error saved by a line that is the best for its scale or offset.
  float gain(Affine fit) const {
    return 2 * (fit.scale * wxq + fit.offset * wx) - fit.scale * fit.scale * wqq - fit.offset * fit.offset * w -
           2 * fit.scale * fit.offset * wq;
  }
};

void add_rounding(const float* x, const float* w, size_t n, float inverse, float offset, int high, AffineSums* sums) {
  const Lanes lowest = all_lanes(0), highest = all_lanes(static_cast<float>(high));
  Lanes swq = all_lanes(0), swqq = all_lanes(0), swxq = all_lanes(0);
  for (size_t i = 0; i < n; i += 4) {
    const Lanes v = load_lanes(x + i);
    const Lanes q = nearest((v - offset) * inverse, lowest, highest);
    const Lanes wq = load_lanes(w + i) * q;
    swq += wq;
    swqq += wq * q;
    swxq += wq * v;
  }
  sums->wq = sum(swq), sums->wqq = sum(swqq), sums->wxq = sum(swxq);
}

}  // namespace

Samples::Samples(const float* in, const float* importance, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = clean(in[i]);
  float largest = 0;
  if (importance != nullptr)
    for (size_t i = 0; i < n; ++i) largest = std::max(largest, w[i] = clean_weight(importance[i]));
  if (largest < kTiny) {
    std::fill(w, w + n, 1.0f);
  } else {
    for (size_t i = 0; i < n; ++i) w[i] = std::max(w[i] / largest, kLeast_weight);
  }
}

float fit_scale(const float* x, const float* w, size_t n, int low, int high) {
  const float top = peak(x, n);
  if (std::fabs(top) < kTiny) return 0;
  float best_gain = 0, scale = 0;
  const auto consider = [&](float inverse) {
    const ScaleSums sums = scale_sums(x, w, n, inverse, low, high);
    if (sums.gain() <= best_gain) return false;
    best_gain = sums.gain();
    scale = sums.scale();
    return true;
  };
  // Where the peak goes: around the ends of the range, a little inside (finer) or outside (clipped).
  const float reach = high <= 3 ? 1.2f : 1.8f;
  for (const int end : {low, high})
    for (int step = -6; step <= 6; ++step)
      consider((static_cast<float>(end) + reach / 6 * static_cast<float>(step)) / top);
  for (int round = 0; round < 3 && scale != 0; ++round)
    if (!consider(1 / scale)) break;
  return scale;
}

void quantize(const float* x, size_t n, float scale, int low, int high, int8_t* q) {
  const float inverse = scale != 0 ? 1 / scale : 0;
  for (size_t i = 0; i < n; ++i) {
    const float v = std::clamp(x[i] * inverse, static_cast<float>(low), static_cast<float>(high));
    q[i] = static_cast<int8_t>(std::lrintf(v));
  }
}

Affine fit_affine(const float* x, const float* w, size_t n, int high, Offset offset) {
  float smallest = x[0], largest = x[0];
  AffineSums sums;
  for (size_t i = 0; i < n; ++i) {
    smallest = std::min(smallest, x[i]);
    largest = std::max(largest, x[i]);
    sums.w += w[i];
    sums.wx += w[i] * x[i];
  }
  if (offset == Offset::kNotPositive) smallest = std::min(smallest, 0.0f);
  const float range = largest - smallest;
  if (range < kTiny) return {0, smallest};

  Affine best{0, smallest};
  float best_gain = sums.gain(best);
  const auto consider = [&](float inverse, float from) {
    add_rounding(x, w, n, inverse, from, high, &sums);
    const Affine fit = sums.line(offset);
    const float gain = sums.gain(fit);
    if (gain <= best_gain) return false;
    best_gain = gain;
    best = fit;
    return true;
  };
  for (int step = -4; step <= 10; ++step)
    consider((static_cast<float>(high) + 0.1f * static_cast<float>(step)) / range, smallest);
  for (int round = 0; round < 3 && best.scale > 0; ++round)
    if (!consider(1 / best.scale, best.offset)) break;
  return best;
}

void quantize(const float* x, size_t n, Affine fit, int high, uint8_t* q) {
  const float inverse = fit.scale != 0 ? 1 / fit.scale : 0;
  for (size_t i = 0; i < n; ++i) {
    const float v = std::clamp((x[i] - fit.offset) * inverse, 0.0f, static_cast<float>(high));
    q[i] = static_cast<uint8_t>(std::lrintf(v));
  }
}

}  // namespace hearth::quant
