// One vector for a whole prompt, gathered step by step from what the output matrix would read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace hearth::engine {

class Pooled {
 public:
  Pooled(Pooling pooling, uint32_t tokens, uint32_t width) : pooling_(pooling), tokens_(tokens), sum_(width) {}

  // Of the next `rows` rows those that are needed: from `first` on, before `end`.
  struct Range {
    uint32_t first = 0, end = 0;
  };
  Range needed(uint32_t first_position, uint32_t rows) const;
  // The values of the rows that are needed, from position `first_position` on. A row may come again after a loss.
  void add(uint32_t first_position, std::span<const float> values);
  bool complete(uint32_t next_position) const { return next_position == tokens_; }
  // Of length 1. Errors: kInvalidData, if it is not finite or has no direction.
  Result<std::vector<float>> vector() const;

 private:
  const Pooling pooling_;
  const uint32_t tokens_;
  std::vector<double> sum_;
};

}  // namespace hearth::engine
