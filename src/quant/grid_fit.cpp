#include "quant/grid_fit.h"

#include <algorithm>
#include <cmath>

#include "quant/packed.h"

namespace hearth::quant {
namespace {

constexpr size_t kMost_halves = 81;  // 3 levels in 4 dimensions; 8 levels in 2: 64
constexpr uint16_t kNo_point = 0xffff;

// x ~ scale * y over a sub-block; y holds what the chosen codes stand for.
struct Sums {
  float wxy = 0, wyy = 0;
  float gain() const { return wyy > 0 && wxy > 0 ? wxy * wxy / wyy : 0; }
};

Sums choose_groups(const GroupCoder& coder, const float* x, const float* w, size_t n, float scale, GroupCode* codes) {
  Sums sums;
  float y[32];
  for (size_t at = 0; at < n; at += coder.values()) *codes++ = coder.choose(x + at, w + at, scale, y + at);
  for (size_t i = 0; i < n; ++i) {
    sums.wxy += w[i] * x[i] * y[i];
    sums.wyy += w[i] * y[i] * y[i];
  }
  return sums;
}

// The best scale of a sub-block, searched around the ratio of the root mean squares of x and of what the
// format holds.
float fit_groups(const GroupCoder& coder, const float* x, const float* w, size_t n) {
  float wxx = 0, total = 0;
  for (size_t i = 0; i < n; ++i) {
    wxx += w[i] * x[i] * x[i];
    total += w[i];
  }
  if (!(wxx > 0)) return 0;
  const float first_guess = std::sqrt(wxx / total) / coder.rms();

  GroupCode ignored[4];
  float best_gain = 0, scale = 0;
  const auto consider = [&](float candidate) {
    const Sums sums = choose_groups(coder, x, w, n, candidate, ignored);
    if (sums.gain() <= best_gain) return false;
    best_gain = sums.gain();
    scale = sums.wxy / sums.wyy;
    return true;
  };
  for (int step = -3; step <= 3; ++step) consider(first_guess * (1 + 0.13f * static_cast<float>(step)));
  for (int round = 0; round < 2 && scale > 0; ++round)
    if (!consider(scale)) break;
  return scale;
}

}  // namespace

GridSearch::GridSearch(const int8_t* grid, size_t points, size_t dimensions) : grid_(grid), dimensions_(dimensions) {
  std::vector<int8_t> levels(grid, grid + points * dimensions);
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  levels_.assign(levels.begin(), levels.end());
  for (size_t i = 0; i < points * dimensions; ++i) rms_ += static_cast<float>(grid[i] * grid[i]);
  rms_ = std::sqrt(rms_ / static_cast<float>(points * dimensions));
  halves_ = 1;
  for (size_t j = 0; j < dimensions / 2; ++j) halves_ *= levels.size();

  const auto half = [&](const int8_t* coordinates) {
    size_t number = 0;
    for (size_t j = 0; j < dimensions / 2; ++j)
      number = number * levels.size() +
               static_cast<size_t>(std::lower_bound(levels.begin(), levels.end(), coordinates[j]) - levels.begin());
    return number;
  };
  at_lattice_.assign(halves_ * halves_, kNo_point);
  for (size_t h = 0; h < halves_; ++h) {
    start_.push_back(static_cast<uint16_t>(number_.size()));
    for (size_t i = 0; i < points; ++i) {
      if (half(point(i)) != h) continue;
      number_.push_back(static_cast<uint16_t>(i));
      second_.push_back(static_cast<uint16_t>(half(point(i) + dimensions / 2)));
      at_lattice_[h * halves_ + second_.back()] = number_.back();
    }
  }
  start_.push_back(static_cast<uint16_t>(number_.size()));
}

size_t GridSearch::tabulate(const float* x, const float* w, float scale, float shift, float* errors) const {
  const size_t levels = levels_.size();
  size_t best = 0, size = 1;
  errors[0] = 0;
  for (size_t j = dimensions_ / 2; j-- > 0;) {  // the last coordinate is the fastest digit of a half's number
    float error[8];
    size_t nearest_level = 0;
    for (size_t l = 0; l < levels; ++l) {
      const float difference = x[j] - scale * (levels_[l] + shift);
      error[l] = w[j] * difference * difference;
      if (error[l] < error[nearest_level]) nearest_level = l;
    }
    best += nearest_level * size;
    for (size_t l = levels; l-- > 0;)
      for (size_t h = 0; h < size; ++h) errors[l * size + h] = errors[h] + error[l];
    size *= levels;
  }
  return best;
}

GridSearch::Nearest GridSearch::nearest(const float* x, const float* w, float scale, float shift) const {
  float first[kMost_halves], second[kMost_halves];
  const size_t half = dimensions_ / 2;
  const size_t best_first = tabulate(x, w, scale, shift, first);
  const size_t best_second = tabulate(x + half, w + half, scale, shift, second);
  const float least_second = second[best_second];
  const uint16_t exact = at_lattice_[best_first * halves_ + best_second];
  if (exact != kNo_point) return {exact, first[best_first] + least_second};

  Nearest best{number_[0], INFINITY};
  const auto visit = [&](size_t h) {
    for (size_t i = start_[h]; i < start_[h + 1]; ++i) {
      const float error = first[h] + second[second_[i]];
      if (error < best.error) best = {number_[i], error};
    }
  };
  visit(best_first);
  for (size_t h = 0; h < halves_; ++h)
    if (first[h] + least_second < best.error) visit(h);
  return best;
}

GroupCode SignedGroups::choose(const float* x, const float* w, float scale, float* decoded) const {
  GroupCode code;
  float magnitude[8];
  size_t cheapest = 0;  // whose sign costs least if it is wrong
  for (size_t j = 0; j < 8; ++j) {
    magnitude[j] = std::fabs(x[j]);
    if (x[j] < 0) code.bits = static_cast<uint8_t>(code.bits | 1 << j);
    if (w[j] * x[j] * x[j] < w[cheapest] * x[cheapest] * x[cheapest]) cheapest = j;
  }
  if (signs_ == Signs::kEven && std::popcount(code.bits) % 2 != 0) {
    code.bits = static_cast<uint8_t>(code.bits ^ 1 << cheapest);
    magnitude[cheapest] = -magnitude[cheapest];
  }
  const size_t n = search_.dimensions();
  for (size_t at = 0; at < 8; at += n) {
    const uint16_t number = search_.nearest(magnitude + at, w + at, scale, 0).point;
    code.points[at / n] = number;
    for (size_t j = 0; j < n; ++j) decoded[at + j] = with_sign(search_.point(number)[j], code.bits, at + j);
  }
  return code;
}

GroupCode ShiftedGroups::choose(const float* x, const float* w, float scale, float* decoded) const {
  GroupCode best;
  float best_error = INFINITY;
  for (const bool down : {false, true}) {
    GroupCode code;
    code.bits = down ? 1 : 0;
    float error = 0;
    for (size_t p = 0; p < points_; ++p) {
      const auto found = search_.nearest(x + 8 * p, w + 8 * p, scale, down ? -kIq1_shift : kIq1_shift);
      code.points[p] = found.point;
      error += found.error;
    }
    if (error < best_error) best_error = error, best = code;
  }
  for (size_t i = 0; i < 8 * points_; ++i)
    decoded[i] =
        static_cast<float>(search_.point(best.points[i / 8])[i % 8]) + (best.bits != 0 ? -kIq1_shift : kIq1_shift);
  return best;
}

GridSuper fit_grid_super(const Samples& samples, const GroupCoder& coder, const GridShape& shape) {
  GridSuper out;
  const size_t n = shape.sub_values, subs = kSuper_values / n, groups = n / coder.values();
  float wanted[16], largest = 0;
  for (size_t s = 0; s < subs; ++s) {
    wanted[s] = fit_groups(coder, samples.x + s * n, samples.w + s * n, n);
    largest = std::max(largest, wanted[s]);
  }
  const float highest = static_cast<float>(shape.scale_high);
  out.d = round_to_half(largest / (2 * highest + 1) / shape.step);
  for (int round = 0; round < 2; ++round) {
    float aa = 0, ax = 0;  // x ~ unit * a, a = (2 scale + 1) y
    for (size_t s = 0; s < subs; ++s) {
      const float unit = out.d * shape.step;
      const float scale = unit > 0 ? std::nearbyint(std::clamp((wanted[s] / unit - 1) / 2, 0.0f, highest)) : 0;
      const float factor = 2 * scale + 1;
      out.scales[s] = static_cast<uint8_t>(scale);
      const Sums sums =
          choose_groups(coder, samples.x + s * n, samples.w + s * n, n, unit * factor, out.codes + s * groups);
      aa += factor * factor * sums.wyy;
      ax += factor * sums.wxy;
    }
    if (round == 0 && aa > 0 && ax > 0) out.d = round_to_half(ax / aa / shape.step);
  }
  return out;
}

}  // namespace hearth::quant
