// GIF and BMP by stb_image.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_GIF
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#include <stb/stb_image.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "image/formats.h"

namespace hearth::image {
namespace {

// Numbers of a file, little-endian; 0 beyond its end.
uint64_t number(std::span<const std::byte> file, uint64_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes && at + i < file.size(); ++i) value |= std::to_integer<uint64_t>(file[at + i]) << 8 * i;
  return value;
}

// Whether what the header tells of is there. Files with compressed rows stb_image refuses.
// (Microsoft's BITMAPCOREHEADER and BITMAPINFOHEADER.)
bool is_whole_bmp(std::span<const std::byte> file) {
  constexpr uint64_t kCore_header_bytes = 12;
  const bool core = number(file, 14, 4) == kCore_header_bytes;
  const auto side = [&](uint64_t at) -> uint64_t {
    return static_cast<uint64_t>(std::abs(static_cast<int64_t>(static_cast<int32_t>(number(file, at, 4)))));
  };
  const uint64_t width = core ? number(file, 18, 2) : side(18), height = core ? number(file, 20, 2) : side(22);
  const uint64_t row_bits = width * number(file, core ? 24 : 28, 2);
  if (height == 0) return true;  // which is refused with other words
  return number(file, 10, 4) + (row_bits + 31) / 32 * 4 * (height - 1) + (row_bits + 7) / 8 <= file.size();
}

// Behind blocks of data, each with its size before it, the last of size 0.
uint64_t behind_blocks(std::span<const std::byte> file, uint64_t at) {
  while (number(file, at, 1) != 0) at += 1 + number(file, at, 1);
  return at + 1;
}

// Whether the first frame is there (W3C, "Graphics Interchange Format, Version 89a"). One that ends behind it is taken
// as other programs take it.
bool is_whole_gif(std::span<const std::byte> file) {
  constexpr uint64_t kExtension = 0x21, kFrame = 0x2c;
  const auto colours = [&](uint64_t flags) -> uint64_t { return (flags & 0x80) != 0 ? 3u << ((flags & 7) + 1) : 0; };
  uint64_t at = 13 + colours(number(file, 10, 1));
  while (at < file.size() && number(file, at, 1) == kExtension) at = behind_blocks(file, at + 2);
  if (at < file.size() && number(file, at, 1) != kFrame) return true;  // which is refused with other words
  return behind_blocks(file, at + 11 + colours(number(file, at + 9, 1))) <= file.size();
}

Result<Picture> decode_with_stb(const char* format, bool (*is_whole)(std::span<const std::byte>),
                                std::span<const std::byte> file, const Limits& limits) {
  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  const int size = static_cast<int>(file.size());  // at most Limits::file_bytes
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(bytes, size, &width, &height, &channels) == 0)
    return error(ErrorKind::kInvalidData, "a broken {} picture: {}", format, stbi_failure_reason());
  TRY(check_size(format, static_cast<uint64_t>(width), static_cast<uint64_t>(height), limits));
  if (!is_whole(file)) return error(ErrorKind::kInvalidData, "a broken {} picture: the file ends too early", format);
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(bytes, size, &width, &height, &channels, 3), stbi_image_free);
  if (pixels == nullptr)
    return error(ErrorKind::kInvalidData, "a broken {} picture: {}", format, stbi_failure_reason());
  TRY(check_size(format, static_cast<uint64_t>(width), static_cast<uint64_t>(height), limits));
  Picture picture{static_cast<uint32_t>(width), static_cast<uint32_t>(height), {}};
  picture.rgb.assign(pixels.get(), pixels.get() + size_t{picture.width} * picture.height * 3);
  return picture;
}

}  // namespace

const Format kGif{"GIF", [](std::span<const std::byte> file) { return starts_with(file, "GIF8"); },
                  [](std::span<const std::byte> file, const Limits& limits, int*) {
                    return decode_with_stb("GIF", is_whole_gif, file, limits);
                  }};
const Format kBmp{"BMP", [](std::span<const std::byte> file) { return starts_with(file, "BM"); },
                  [](std::span<const std::byte> file, const Limits& limits, int*) {
                    return decode_with_stb("BMP", is_whole_bmp, file, limits);
                  }};

}  // namespace hearth::image
