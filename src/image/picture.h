// A picture as rows of red, green and blue bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hearth::image {

struct Picture {
  uint32_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // [height][width][3]

  const uint8_t* at(uint32_t x, uint32_t y) const { return rgb.data() + (std::size_t{y} * width + x) * 3; }
  uint8_t* at(uint32_t x, uint32_t y) { return rgb.data() + (std::size_t{y} * width + x) * 3; }
  bool operator==(const Picture&) const = default;
};

inline Picture blank(uint32_t width, uint32_t height) {
  return {width, height, std::vector<uint8_t>(std::size_t{width} * height * 3)};
}

}  // namespace hearth::image
