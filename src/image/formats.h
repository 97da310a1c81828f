// One decoder per kind of file. Each compares the size that the file tells with the limits first.
#pragma once

#include "image/decode.h"

namespace hearth::image {

struct Format {
  const char* name;
  bool (*begins)(std::span<const std::byte> file);
  // As shown but for the orientation, which it sets if the file tells one (1 to 8, see exif.h).
  Result<Picture> (*decode)(std::span<const std::byte> file, const Limits& limits, int* orientation);
};

extern const Format kPng, kJpeg, kWebp, kGif, kBmp;

// Whether `file` begins with these bytes.
bool starts_with(std::span<const std::byte> file, std::string_view magic, size_t at = 0);
// What of a file's size and first bytes decode() refuses.
Status check_file(std::span<const std::byte> file, const Limits& limits);
// kInvalidData for a side of 0, kTooLong beyond the limits.
Status check_size(const char* format, uint64_t width, uint64_t height, const Limits& limits);

}  // namespace hearth::image
