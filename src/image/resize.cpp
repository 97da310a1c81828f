#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace hearth::image {
namespace {

constexpr int kWeight_bits = 22;

double sinc(double x) {
  return x == 0 ? 1 : std::sin(x * M_PI) / (x * M_PI);
}

double weight_at(Filter filter, double x) {
  const double distance = std::abs(x);
  switch (filter) {
    case Filter::kBilinear:
      return distance < 1 ? 1 - distance : 0;
    case Filter::kBicubic: {  // Keys 1981, a = -1/2
      constexpr double kA = -0.5;
      if (distance < 1) return ((kA + 2) * distance - (kA + 3)) * distance * distance + 1;
      return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * kA : 0;
    }
    case Filter::kLanczos:
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  CHECK(false);
}

double reach_of(Filter filter) {
  return filter == Filter::kBilinear ? 1 : filter == Filter::kBicubic ? 2 : 3;
}

// Which values of a line one value of the result is made of.
struct Tap {
  uint32_t first = 0;
  std::vector<int32_t> weights;
};

std::vector<Tap> taps(uint32_t from, uint32_t to, Filter filter) {
  const double scale = static_cast<double>(from) / to, stretch = std::max(scale, 1.0);
  const double reach = reach_of(filter) * stretch;
  std::vector<Tap> all(to);
  std::vector<double> exact;
  for (uint32_t i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const auto first = static_cast<uint32_t>(std::max(0.0, std::trunc(centre - reach + 0.5)));
    const auto end = static_cast<uint32_t>(std::min<double>(from, std::trunc(centre + reach + 0.5)));
    exact.clear();
    double sum = 0;
    for (uint32_t x = first; x < end; ++x) {
      exact.push_back(weight_at(filter, (x - centre + 0.5) * (1 / stretch)));
      sum += exact.back();
    }
    all[i].first = first;
    for (double weight : exact) {
      if (sum != 0) weight /= sum;
      const double scaled = weight * (1 << kWeight_bits);
      all[i].weights.push_back(static_cast<int32_t>(scaled + (scaled < 0 ? -0.5 : 0.5)));
    }
  }
  return all;
}

// One value of three channels; `step`: bytes from one value of the line to the next.
void add_up(const uint8_t* line, size_t step, const Tap& tap, uint8_t* to) {
  int32_t sums[3] = {1 << (kWeight_bits - 1), 1 << (kWeight_bits - 1), 1 << (kWeight_bits - 1)};
  const uint8_t* at = line + tap.first * step;
  for (const int32_t weight : tap.weights) {
    for (int c = 0; c < 3; ++c) sums[c] += at[c] * weight;
    at += step;
  }
  for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(std::clamp(sums[c] >> kWeight_bits, 0, 255));
}

Picture along_rows(const Picture& from, uint32_t width, Filter filter) {
  const std::vector<Tap> all = taps(from.width, width, filter);
  Picture to = blank(width, from.height);
  for (uint32_t y = 0; y < from.height; ++y)
    for (uint32_t x = 0; x < width; ++x) add_up(from.at(0, y), 3, all[x], to.at(x, y));
  return to;
}

Picture along_columns(const Picture& from, uint32_t height, Filter filter) {
  const std::vector<Tap> all = taps(from.height, height, filter);
  Picture to = blank(from.width, height);
  const size_t step = size_t{from.width} * 3;
  for (uint32_t y = 0; y < height; ++y)
    for (uint32_t x = 0; x < from.width; ++x) add_up(from.at(x, 0), step, all[y], to.at(x, y));
  return to;
}

}  // namespace

Picture resize(const Picture& from, uint32_t width, uint32_t height, Filter filter) {
  CHECK(width > 0 && height > 0 && from.width > 0 && from.height > 0);
  if (width == from.width && height == from.height) return from;
  if (width == from.width) return along_columns(from, height, filter);
  Picture wide = along_rows(from, width, filter);
  return height == from.height ? wide : along_columns(wide, height, filter);
}

Picture crop(const Picture& from, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
  CHECK(x + width <= from.width && y + height <= from.height);
  Picture to = blank(width, height);
  for (uint32_t row = 0; row < height; ++row) std::memcpy(to.at(0, row), from.at(x, y + row), size_t{width} * 3);
  return to;
}

}  // namespace hearth::image
