#include "vision/positions.h"

#include "base/error.h"

namespace hearth::vision {

Result<LearnedPositions> LearnedPositions::read(const Keys& keys, const Spec& spec) {
  LearnedPositions positions;
  const uint32_t side = spec.image_size / spec.patch;
  positions.width_ = spec.width;
  positions.rows_ = side * side + (spec.class_token ? 1 : 0);
  if (side == 0)
    return error(ErrorKind::kInvalidData, "{}: patches of {} pixels are larger than the pictures of {}",
                 keys.file().path(), spec.patch, spec.image_size);
  ASSIGN_OR_RETURN(positions.table_, keys.values("v.position_embd.weight", uint64_t{positions.rows_} * spec.width));
  if (spec.class_token) {
    ASSIGN_OR_RETURN(positions.class_token_, keys.values("v.class_embd", spec.width));
  }
  return positions;
}

bool LearnedPositions::add(const Layout& layout, std::span<float> rows) const {
  const uint32_t lead = class_token_.empty() ? 0 : 1;
  if (layout.columns * layout.rows + lead != rows_) return false;
  const auto row = [&](uint32_t index) { return std::span(table_).subspan(size_t{index} * width_, width_); };
  if (lead != 0) {
    add_row(class_token_, rows.data());
    add_row(row(0), rows.data());
  }
  for (size_t i = 0; i < layout.order.size(); ++i)
    add_row(row(lead + layout.order[i]), rows.data() + (lead + i) * width_);
  return true;
}

}  // namespace hearth::vision
