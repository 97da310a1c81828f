#include "quant/codebook.h"

#include <algorithm>
#include <cmath>

namespace hearth::quant {
namespace {

constexpr float kTiny = 1e-30f;

struct Sums {
  float wxv = 0, wvv = 0;
  float gain() const { return wvv > kTiny ? wxv * wxv / wvv : 0; }
};

Sums codebook_sums(const float* x, const float* w, size_t n, float inverse, const Codebook& book) {
  Sums sums;
  for (size_t i = 0; i < n; ++i) {
    const float value = book.values[book.code(x[i] * inverse)], weighted = w[i] * value;
    sums.wxv += weighted * x[i];
    sums.wvv += weighted * value;
  }
  return sums;
}

}  // namespace

float fit_codebook(const float* x, const float* w, size_t n, const Codebook& book) {
  float top = 0;
  for (size_t i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(top)) top = x[i];
  if (std::fabs(top) < kTiny) return 0;

  float best_gain = 0, scale = 0;
  const auto consider = [&](float inverse) {
    const Sums sums = codebook_sums(x, w, n, inverse, book);
    if (sums.gain() <= best_gain) return false;
    best_gain = sums.gain();
    scale = sums.wxv / sums.wvv;
    return true;
  };
  const auto [low, high] = std::minmax_element(book.values.begin(), book.values.end());
  for (const int end : {*low, *high})
    for (int step = -6; step <= 6; ++step)
      consider(static_cast<float>(end) * (1 + 0.03f * static_cast<float>(step)) / top);
  for (int round = 0; round < 3 && scale != 0; ++round)
    if (!consider(1 / scale)) break;
  return scale;
}

void quantize(const float* x, size_t n, float scale, const Codebook& book, uint8_t* codes) {
  const float inverse = scale != 0 ? 1 / scale : 0;
  for (size_t i = 0; i < n; ++i) codes[i] = book.code(x[i] * inverse);
}

float codebook_error(const float* x, const float* w, size_t n, float scale, const Codebook& book) {
  const float inverse = scale != 0 ? 1 / scale : 0;
  float error = 0;
  for (size_t i = 0; i < n; ++i) {
    const float difference = x[i] - scale * static_cast<float>(book.values[book.code(x[i] * inverse)]);
    error += w[i] * difference * difference;
  }
  return error;
}

}  // namespace hearth::quant
