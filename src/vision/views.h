// What families do with pictures before the encoder sees them.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "image/picture.h"
#include "image/resize.h"
#include "vision/family.h"

namespace hearth::vision {

struct Size {
  uint32_t width = 0, height = 0;
  bool operator==(const Size&) const = default;
};

// The picture as it is, and its size.
Views one_view(const image::Picture& picture, image::Picture view);

// Kept in shape (sizes rounded up), centred on the colour.
image::Picture fit(const image::Picture& picture, Size size, std::array<uint8_t, 3> colour);

// Row by row; the sides are multiples.
void add_tiles(const image::Picture& picture, Size tile, std::vector<image::Picture>* to);

// Both sides multiples of `unit`, near the picture's, the area between `least` and `most` (Qwen-VL).
Size multiples_of(Size picture, uint32_t unit, uint64_t least, uint64_t most);

// Of these, where the most of the picture is seen, then the least is wasted (LLaVA-NeXT).
Size best_resolution(Size picture, const std::vector<Size>& choices);

// Rows of embeddings one after the other.
void append(std::vector<float>& to, std::span<const float> rows);

// Adds a row of a table, each value of it, to a row.
void add_row(std::span<const float> from, float* to);

// The mean of every `count` adjacent rows.
std::vector<float> means_of(std::span<const float> rows, uint32_t width, uint32_t count);

}  // namespace hearth::vision
