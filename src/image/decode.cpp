#include "image/decode.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "image/exif.h"
#include "image/formats.h"

namespace hearth::image {
namespace {

constexpr std::array<const Format*, 5> kFormats{&kPng, &kJpeg, &kWebp, &kGif, &kBmp};

const Format* format_of(std::span<const std::byte> file) {
  const auto found = std::ranges::find_if(kFormats, [&](const Format* format) { return format->begins(file); });
  return found == kFormats.end() ? nullptr : *found;
}

}  // namespace

bool starts_with(std::span<const std::byte> file, std::string_view magic, size_t at) {
  return file.size() >= at + magic.size() && std::memcmp(file.data() + at, magic.data(), magic.size()) == 0;
}

Status check_size(const char* format, uint64_t width, uint64_t height, const Limits& limits) {
  if (width == 0 || height == 0)
    return error(ErrorKind::kInvalidData, "a {} picture of {} x {} pixels has none", format, width, height);
  if (width > limits.side || height > limits.side || width * height > limits.pixels)
    return error(ErrorKind::kTooLong,
                 "a {} picture of {} x {} pixels is larger than allowed ({} in all, {} a side): make it smaller",
                 format, width, height, limits.pixels, limits.side);
  return {};
}

bool is_picture(std::span<const std::byte> file) {
  return format_of(file) != nullptr;
}

Status check_file(std::span<const std::byte> file, const Limits& limits) {
  if (file.empty()) return error(ErrorKind::kInvalidData, "a picture of 0 bytes");
  if (file.size() > limits.file_bytes)
    return error(ErrorKind::kTooLong, "a picture of {} bytes is larger than the {} that are allowed", file.size(),
                 limits.file_bytes);
  if (!is_picture(file))
    return error(ErrorKind::kUnsupported, "this is no PNG, JPEG, WebP, GIF or BMP picture: send one of these");
  return {};
}

Result<Picture> decode(std::span<const std::byte> file, const Limits& limits) {
  TRY(check_file(file, limits));
  int orientation = 1;
  ASSIGN_OR_RETURN(Picture picture, format_of(file)->decode(file, limits, &orientation));
  return upright(std::move(picture), orientation);
}

}  // namespace hearth::image
