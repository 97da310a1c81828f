#include "image/exif.h"

#include <cstring>
#include <utility>

namespace hearth::image {
namespace {

constexpr uint16_t kOrientation = 0x0112, kShort = 3;
constexpr size_t kEntry_bytes = 12;

// Numbers of a TIFF structure; 0 beyond its end.
class Reader {
 public:
  Reader(std::span<const std::byte> data, bool big) : data_(data), big_(big) {}
  uint32_t number(size_t at, size_t bytes) const {
    if (at > data_.size() || bytes > data_.size() - at) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; ++i)
      value |= std::to_integer<uint32_t>(data_[at + i]) << 8 * (big_ ? bytes - 1 - i : i);
    return value;
  }

 private:
  std::span<const std::byte> data_;
  bool big_;
};

}  // namespace

int exif_orientation(std::span<const std::byte> data) {
  if (data.size() >= 6 && std::memcmp(data.data(), "Exif\0\0", 6) == 0) data = data.subspan(6);
  if (data.size() < 8) return 1;
  const bool big = data[0] == std::byte{'M'};
  const Reader reader(data, big);
  const size_t directory = reader.number(4, 4);
  const uint32_t entries = reader.number(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + i * kEntry_bytes;
    if (at >= data.size()) break;
    if (reader.number(at, 2) != kOrientation || reader.number(at + 2, 2) != kShort) continue;
    const uint32_t value = reader.number(at + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Picture upright(Picture picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  const bool turned = orientation >= 5;
  const uint32_t w = picture.width, h = picture.height;
  Picture to = turned ? blank(h, w) : blank(w, h);
  for (uint32_t y = 0; y < to.height; ++y) {
    for (uint32_t x = 0; x < to.width; ++x) {
      uint32_t from_x = turned ? y : x, from_y = turned ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) from_x = w - 1 - from_x;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) from_y = h - 1 - from_y;
      std::memcpy(to.at(x, y), picture.at(from_x, from_y), 3);
    }
  }
  return to;
}

}  // namespace hearth::image
