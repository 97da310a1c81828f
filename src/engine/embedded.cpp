#include "engine/embedded.h"

#include <algorithm>

namespace hearth::engine {

uint32_t rows_of(const EmbeddedPart& part, uint32_t width) {
  return static_cast<uint32_t>(part.values->size() / (size_t{width} * (1 + part.deep)));
}

device::Place place_of(std::span<const EmbeddedPart> parts, uint32_t width, uint32_t position) {
  uint32_t left_out = 0;  // positions that the pictures before do not take
  for (const EmbeddedPart& part : parts) {
    if (part.columns == 0) continue;
    if (position < part.first) break;
    const uint32_t rows = rows_of(part, width), at = position - part.first, start = part.first - left_out;
    if (at < rows) return {start, start + at / part.columns, start + at % part.columns};
    left_out += rows - std::max(part.columns, part.rows);
  }
  return {position - left_out, position - left_out, position - left_out};
}

}  // namespace hearth::engine
