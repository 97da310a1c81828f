#include "engine/pooled.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hearth::engine {

Pooled::Range Pooled::needed(uint32_t first_position, uint32_t rows) const {
  switch (pooling_) {
    case Pooling::kFirst:
      return {0, first_position == 0 ? 1u : 0};
    case Pooling::kLast:
      return {complete(first_position + rows) ? rows - 1 : rows, rows};
    case Pooling::kMean:
      break;
  }
  return {0, rows};
}

void Pooled::add(uint32_t first_position, std::span<const float> values) {
  if (first_position == 0) std::ranges::fill(sum_, 0.0);  // also when all is computed again
  for (size_t i = 0; i < values.size(); ++i) sum_[i % sum_.size()] += double{values[i]};
}

Result<std::vector<float>> Pooled::vector() const {
  double squares = 0;
  for (const double value : sum_) squares += value * value;
  if (!std::isfinite(squares)) return error(ErrorKind::kInvalidData, "the model's results are not finite numbers");
  if (squares == 0) return error(ErrorKind::kInvalidData, "the model's results are all zero");
  std::vector<float> vector;
  for (const double value : sum_) vector.push_back(static_cast<float>(value / std::sqrt(squares)));
  return vector;
}

}  // namespace hearth::engine
