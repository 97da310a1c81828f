// GIF and BMP by stb_image.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_GIF
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#include <stb/stb_image.h>

#include <memory>

#include "base/error.h"
#include "image/formats.h"

namespace hearth::image {
namespace {

Result<Picture> decode_with_stb(const char* format, std::span<const std::byte> file, const Limits& limits) {
  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  const int size = static_cast<int>(file.size());  // at most Limits::file_bytes
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(bytes, size, &width, &height, &channels) == 0)
    return error(ErrorKind::kInvalidData, "a broken {} picture: {}", format, stbi_failure_reason());
  TRY(check_size(format, static_cast<uint64_t>(width), static_cast<uint64_t>(height), limits));
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

const Format kGif{
    "GIF", [](std::span<const std::byte> file) { return starts_with(file, "GIF8"); },
    [](std::span<const std::byte> file, const Limits& limits, int*) { return decode_with_stb("GIF", file, limits); }};
const Format kBmp{
    "BMP", [](std::span<const std::byte> file) { return starts_with(file, "BM"); },
    [](std::span<const std::byte> file, const Limits& limits, int*) { return decode_with_stb("BMP", file, limits); }};

}  // namespace hearth::image
