// Idefics 3 and SmolVLM (Laurençon et al. 2024, "Building and better understanding vision-language models"; Marafioti
// et al. 2025, "SmolVLM"): tiles of a picture whose longest side is given, the whole last; neighbours are joined.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "vision/positions.h"

namespace hearth::vision {
namespace {

class Idefics3 : public Projector {
 public:
  Idefics3(const Spec& spec, uint32_t side, uint32_t longest, LearnedPositions positions)
      : spec_(spec), side_(side), longest_(longest), positions_(std::move(positions)) {}

  Views prepare(const image::Picture& picture) const override {
    const uint32_t tile = spec_.image_size;
    const double shape = static_cast<double>(picture.width) / picture.height;
    uint32_t w = longest_, h = longest_;
    const auto even = [](double x) { return static_cast<uint32_t>(x) + static_cast<uint32_t>(x) % 2; };
    if (picture.width >= picture.height)
      h = std::max(1u, even(longest_ / shape));
    else
      w = std::max(1u, even(longest_ * shape));
    const image::Picture scaled = image::resize(picture, w, h, image::Filter::kLanczos);
    Views views;
    views.width = picture.width;
    views.height = picture.height;
    views.columns = (w + tile - 1) / tile;
    views.rows = (h + tile - 1) / tile;
    const image::Picture whole =
        image::resize(scaled, views.columns * tile, views.rows * tile, image::Filter::kLanczos);
    add_tiles(whole, {tile, tile}, &views.pictures);
    views.pictures.push_back(image::resize(whole, tile, tile, image::Filter::kLanczos));
    return views;
  }
  Layout lay_out(uint32_t columns, uint32_t rows) const override { return in_groups(columns, rows, side_); }
  bool add_positions(const Layout& layout, std::span<float> rows) const override {
    return positions_.add(layout, rows);
  }

  Status read(models::TensorReader& reader) override {
    ASSIGN_OR_RETURN(last_norm_, reader.norm("v.post_ln", spec_.width));
    ASSIGN_OR_RETURN(projection_, reader.linear("mm.model.fc", spec_.out, side_ * side_ * spec_.width));
    return {};
  }
  uint32_t tokens(const Layout& layout) const override {
    return static_cast<uint32_t>(layout.order.size() / (side_ * side_));
  }
  Result<std::vector<float>> embed(Workbench& bench, const Layout&, const Rows& x,
                                   const std::vector<Rows>&) const override {
    ASSIGN_OR_RETURN(const Rows last, bench.norm(x, spec_.norm, last_norm_, spec_.epsilon));
    ASSIGN_OR_RETURN(const Rows out, bench.linear(last.as(side_ * side_ * spec_.width), projection_));
    return bench.get(out);
  }

  uint64_t row_floats() const override { return spec_.width + spec_.out / (side_ * side_) + 1; }

  std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const override {
    std::vector<Piece> pieces;
    for (uint32_t y = 0; y < views.rows; ++y) {
      for (uint32_t x = 0; x < views.columns; ++x) {
        pieces.push_back({.text = fmt::format("<fake_token_around_image><row_{}_col_{}>", y + 1, x + 1)});
        pieces.push_back({.embeddings = std::move(embeddings[y * views.columns + x])});
      }
      pieces.push_back({.text = "\n"});
    }
    pieces.push_back({.text = "\n<fake_token_around_image><global-img>"});
    pieces.push_back({.embeddings = std::move(embeddings.back())});
    pieces.push_back({.text = "<fake_token_around_image>"});
    return pieces;
  }
  std::vector<std::string> other_tensors() const override { return LearnedPositions::tensors(); }

 private:
  const Spec spec_;
  const uint32_t side_, longest_;
  const LearnedPositions positions_;
  models::Norm last_norm_;
  models::Linear projection_;
};

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::Tensor* last = keys.file().tensor("mm.model.fc.weight");
  if (last == nullptr)
    return error(ErrorKind::kInvalidData, "{}: tensor mm.model.fc.weight is missing", keys.file().path());
  spec->out = static_cast<uint32_t>(std::min<uint64_t>(last->shape[1], 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t side, keys.count("projector.scale_factor", 1, 16));
  ASSIGN_OR_RETURN(const uint32_t longest,
                   keys.count_or("preproc_image_size", 4 * spec->image_size, 1, 16 * spec->image_size));
  ASSIGN_OR_RETURN(LearnedPositions positions, LearnedPositions::read(keys, *spec));
  return std::unique_ptr<Projector>(new Idefics3(*spec, side, longest, std::move(positions)));
}

const Family kIdefics3{{"idefics3"}, read};
const RegisterFamily registered(&kIdefics3);

}  // namespace
}  // namespace hearth::vision
