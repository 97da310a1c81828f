// Files of pictures to pixels: PNG, JPEG (also progressive, CMYK), WebP, GIF (its first frame) and BMP, told apart by
// their first bytes; upright (EXIF orientation), without alpha. Nothing in a file is trusted: what it says of its size
// is compared with the limits before anything is allocated for it.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "image/picture.h"

namespace hearth::image {

struct Limits {
  uint64_t file_bytes = 64u << 20;
  uint64_t pixels = 50'000'000;  // a decoder takes up to 12 bytes for each, and 3 stay
  uint32_t side = 1u << 15;
};

// Errors, each naming what is wrong: kTooLong (beyond a limit), kUnsupported (no picture of a kind that is read),
// kInvalidData (broken, cut, lying). Any thread.
Result<Picture> decode(std::span<const std::byte> file, const Limits& limits = {});

// Whether this is the beginning of a picture of a kind that is read.
bool is_picture(std::span<const std::byte> file);

}  // namespace hearth::image
