#include "models/embedded_rows.h"

#include <algorithm>
#include <vector>

namespace hearth::models {

using device::EmbeddedRows;

Status put_embedded(std::span<const EmbeddedRows> parts, float scale, uint32_t width, device::Device& device,
                    float* x) {
  std::vector<float> rows;
  for (const EmbeddedRows& part : parts) {
    float* const to = x + size_t{part.first_row} * width;
    if (part.deep == 0 && scale == 1) {
      TRY(device::upload_floats(device, {part.values, size_t{part.rows} * width}, to));
      continue;
    }
    rows.resize(size_t{part.rows} * width);
    for (size_t row = 0; row < part.rows; ++row)
      for (uint32_t i = 0; i < width; ++i)
        rows[row * width + i] = part.values[row * (1 + part.deep) * width + i] * scale;
    TRY(device::upload_floats(device, rows, to));
  }
  return {};
}

bool has_deep(std::span<const EmbeddedRows> parts, uint32_t layer) {
  return std::ranges::any_of(parts, [&](const EmbeddedRows& part) { return part.deep > layer; });
}

Status add_deep(std::span<const EmbeddedRows> parts, uint32_t layer, uint32_t width, device::Device& device, float* x) {
  std::vector<float> rows;
  for (const EmbeddedRows& part : parts) {
    if (part.deep <= layer) continue;
    float* const at = x + size_t{part.first_row} * width;
    rows.resize(size_t{part.rows} * width);
    TRY(device::download_floats(device, at, rows));
    for (size_t row = 0; row < part.rows; ++row)
      for (uint32_t i = 0; i < width; ++i)
        rows[row * width + i] += part.values[(row * (1 + part.deep) + 1 + layer) * width + i];
    TRY(device::upload_floats(device, rows, at));
  }
  return {};
}

}  // namespace hearth::models
