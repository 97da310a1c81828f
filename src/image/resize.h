// Resizing as Pillow does it, bit for bit, since the authors of the models do it so: filters that widen where a picture
// shrinks, first along rows, then along columns, each result rounded to bytes, with weights of 22 bits
// (pillow.readthedocs.io, "Filters comparison table").
#pragma once

#include "image/picture.h"

namespace hearth::image {

enum class Filter { kBilinear, kBicubic, kLanczos };

// Both sides at least 1.
Picture resize(const Picture& from, uint32_t width, uint32_t height, Filter filter);

// A part of a picture, which lies wholly inside.
Picture crop(const Picture& from, uint32_t x, uint32_t y, uint32_t width, uint32_t height);

}  // namespace hearth::image
