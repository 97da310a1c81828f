// Learned positions: a table with a row for each row of the tower.
#pragma once

#include "vision/views.h"

namespace hearth::vision {

class LearnedPositions {
 public:
  // v.class_embd and v.position_embd.weight, of as many rows as a square picture has.
  static Result<LearnedPositions> read(const Keys& keys, const Spec& spec);
  bool add(const Layout& layout, std::span<float> rows) const;
  static std::vector<std::string> tensors() { return {"v.class_embd", "v.position_embd.weight"}; }

 private:
  uint32_t width_ = 0, rows_ = 0;
  std::vector<float> class_token_, table_;
};

}  // namespace hearth::vision
