// The orientation of pictures. EXIF 2.32, tag 0x0112: 1 upright, 2 mirrored, 3 turned by 180 degrees, 4 upside down,
// 5 to 8 rows are columns.
#pragma once

#include <cstddef>
#include <span>

#include "image/picture.h"

namespace hearth::image {

// Of a TIFF structure as EXIF has it, with or without "Exif\0\0" before it; 1 where none is told.
int exif_orientation(std::span<const std::byte> data);

Picture upright(Picture picture, int orientation);

}  // namespace hearth::image
