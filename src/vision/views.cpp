#include "vision/views.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace hearth::vision {

Views one_view(const image::Picture& picture, image::Picture view) {
  Views views;
  views.pictures.push_back(std::move(view));
  views.width = picture.width;
  views.height = picture.height;
  return views;
}

image::Picture fit(const image::Picture& picture, Size size, std::array<uint8_t, 3> colour) {
  // In float32, as the authors' tools round.
  const float scale = std::min(static_cast<float>(size.width) / static_cast<float>(picture.width),
                               static_cast<float>(size.height) / static_cast<float>(picture.height));
  const auto scaled = [&](uint32_t side, uint32_t most) {
    return std::clamp(static_cast<uint32_t>(std::ceil(static_cast<float>(side) * scale)), 1u, most);
  };
  const image::Picture inner = image::resize(picture, scaled(picture.width, size.width),
                                             scaled(picture.height, size.height), image::Filter::kBicubic);
  image::Picture out = image::blank(size.width, size.height);
  for (size_t i = 0; i < out.rgb.size(); ++i) out.rgb[i] = colour[i % 3];
  const uint32_t left = (size.width - inner.width) / 2, top = (size.height - inner.height) / 2;
  for (uint32_t y = 0; y < inner.height; ++y)
    std::memcpy(out.at(left, top + y), inner.at(0, y), size_t{inner.width} * 3);
  return out;
}

void add_tiles(const image::Picture& picture, Size tile, std::vector<image::Picture>* to) {
  for (uint32_t y = 0; y + tile.height <= picture.height; y += tile.height)
    for (uint32_t x = 0; x + tile.width <= picture.width; x += tile.width)
      to->push_back(image::crop(picture, x, y, tile.width, tile.height));
}

Size multiples_of(Size picture, uint32_t unit, uint64_t least, uint64_t most) {
  const double w = picture.width, h = picture.height;
  const auto whole = [&](double units) { return std::max(1.0, units) * unit; };
  double nw = whole(std::nearbyint(w / unit)), nh = whole(std::nearbyint(h / unit));  // halves to even
  if (nw * nh > static_cast<double>(most)) {
    const double shrink = std::sqrt(w * h / static_cast<double>(most));
    nw = whole(std::floor(w / shrink / unit));
    nh = whole(std::floor(h / shrink / unit));
  } else if (nw * nh < static_cast<double>(least)) {
    const double grow = std::sqrt(static_cast<double>(least) / (w * h));
    nw = std::ceil(w * grow / unit) * unit;
    nh = std::ceil(h * grow / unit) * unit;
  }
  return {static_cast<uint32_t>(nw), static_cast<uint32_t>(nh)};
}

Size best_resolution(Size picture, const std::vector<Size>& choices) {
  const double w = picture.width, h = picture.height;
  std::optional<std::pair<int64_t, int64_t>> best;
  Size found;
  for (const Size& choice : choices) {
    const double scale = std::min(choice.width / w, choice.height / h);
    const auto shown = static_cast<int64_t>(w * scale) * static_cast<int64_t>(h * scale);
    const int64_t used = std::min(shown, int64_t{picture.width} * picture.height);
    const std::pair worth(used, used - int64_t{choice.width} * choice.height);
    if (best && worth <= *best) continue;
    best = worth;
    found = choice;
  }
  return found;
}

void append(std::vector<float>& to, std::span<const float> rows) {
  to.insert(to.end(), rows.begin(), rows.end());
}

std::vector<float> means_of(std::span<const float> rows, uint32_t width, uint32_t count) {
  std::vector<float> means(rows.size() / count);
  for (size_t i = 0; i < rows.size() / width; ++i)
    for (uint32_t c = 0; c < width; ++c) means[i / count * width + c] += rows[i * width + c];
  for (float& mean : means) mean /= static_cast<float>(count);
  return means;
}

void add_row(std::span<const float> from, float* to) {
  for (size_t i = 0; i < from.size(); ++i) to[i] += from[i];
}

}  // namespace hearth::vision
