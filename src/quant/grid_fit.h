// Encoding into the grids of the IQ1, IQ2 and IQ3 formats.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/fit.h"
#include "quant/grids.h"
#include "quant/super_block.h"

namespace hearth::quant {

// Finds the point of a grid nearest to a target, exactly. Coordinates take few levels (3 or 8), so that
// the nearest lattice point is found coordinate by coordinate; often it is in the grid. If not: the error
// of a point is the sum of those of its two halves; there are few different halves (81 or 64), so their
// errors are tabulated, and first halves whose error is too large already are skipped with all their points.
class GridSearch {
 public:
  template <size_t N, size_t D>
  explicit GridSearch(const Grid<N, D>& grid) : GridSearch(grid[0].data(), N, D) {}

  struct Nearest {
    uint16_t point;
    float error;  // sum w (x - scale * (point + shift))^2
  };
  Nearest nearest(const float* x, const float* w, float scale, float shift) const;

  size_t dimensions() const { return dimensions_; }
  const int8_t* point(size_t i) const { return grid_ + i * dimensions_; }
  float rms() const { return rms_; }  // root mean square of all coordinates

 private:
  GridSearch(const int8_t* grid, size_t points, size_t dimensions);
  // Errors of every half against dimensions / 2 targets; returns the number of the best half.
  size_t tabulate(const float* x, const float* w, float scale, float shift, float* errors) const;

  const int8_t* grid_;
  size_t dimensions_;
  float rms_ = 0;
  std::vector<float> levels_;              // the different coordinates
  size_t halves_;                          // levels to the power dimensions / 2
  std::vector<uint16_t> start_;            // the points with first half h are start_[h] .. start_[h + 1]
  std::vector<uint16_t> second_, number_;  // their second halves and numbers
  std::vector<uint16_t> at_lattice_;       // number of the point made of halves (h1, h2) at h1 * halves_ + h2
};

// How a group of values is stored: one or more points, and signs (bit j: value j is negative) or the
// direction of the shift (1: down).
struct GroupCode {
  uint16_t points[4] = {};
  uint8_t bits = 0;
};

// A format's way to store one group.
class GroupCoder {
 public:
  virtual ~GroupCoder() = default;
  // The code nearest to x / scale, and what it stands for. scale > 0.
  virtual GroupCode choose(const float* x, const float* w, float scale, float* decoded) const = 0;
  virtual size_t values() const = 0;
  virtual float rms() const = 0;  // root mean square of what can be stored, about
};

// Eight magnitudes from a grid, and their signs.
class SignedGroups final : public GroupCoder {
 public:
  enum class Signs { kFree, kEven };
  template <size_t N, size_t D>
  SignedGroups(const Grid<N, D>& grid, Signs signs) : search_(grid), signs_(signs) {}
  GroupCode choose(const float* x, const float* w, float scale, float* decoded) const override;
  size_t values() const override { return 8; }
  float rms() const override { return search_.rms(); }

 private:
  GridSearch search_;
  Signs signs_;
};

// `points` points of the IQ1 grid that share the direction of their shift.
class ShiftedGroups final : public GroupCoder {
 public:
  explicit ShiftedGroups(size_t points) : search_(kIq1_grid), points_(points) {}
  GroupCode choose(const float* x, const float* w, float scale, float* decoded) const override;
  size_t values() const override { return 8 * points_; }
  float rms() const override { return search_.rms(); }

 private:
  GridSearch search_;
  size_t points_;
};

// x = d * step * (2 * scales[s] + 1) * decoded group, s = i / sub_values.
struct GridSuper {
  float d = 0;  // as rounded to half
  uint8_t scales[16] = {};
  GroupCode codes[32];  // by group
};
struct GridShape {
  size_t sub_values;
  int scale_high;  // scales are 0..scale_high
  float step;      // a power of two
};
GridSuper fit_grid_super(const Samples& samples, const GroupCoder& coder, const GridShape& shape);

}  // namespace hearth::quant
