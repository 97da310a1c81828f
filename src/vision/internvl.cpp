// InternVL 2.5, 3 and 3.5 (Chen et al. 2024, "Expanding Performance Boundaries of Open-Source Multimodal Models"):
// tiles of the grid whose shape is nearest, the whole last; neighbours are joined.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "vision/positions.h"

namespace hearth::vision {
namespace {

constexpr float kJoin_epsilon = 1e-5f;
constexpr uint32_t kMost_tiles = 64;

class InternVl : public Projector {
 public:
  InternVl(const Spec& spec, uint32_t side, uint32_t least, uint32_t most, LearnedPositions positions)
      : spec_(spec), side_(side), least_(least), most_(most), positions_(std::move(positions)) {}

  Views prepare(const image::Picture& picture) const override {
    const uint32_t tile = spec_.image_size;
    const Size grid = nearest_grid({picture.width, picture.height});
    Views views;
    views.width = picture.width;
    views.height = picture.height;
    views.columns = grid.width;
    views.rows = grid.height;
    add_tiles(image::resize(picture, grid.width * tile, grid.height * tile, image::Filter::kBicubic), {tile, tile},
              &views.pictures);
    if (views.pictures.size() > 1)
      views.pictures.push_back(image::resize(picture, tile, tile, image::Filter::kBicubic));
    return views;
  }
  Layout lay_out(uint32_t columns, uint32_t rows) const override { return in_groups(columns, rows, side_); }
  bool add_positions(const Layout& layout, std::span<float> rows) const override {
    return positions_.add(layout, rows);
  }

  Status read(models::TensorReader& reader) override {
    const uint32_t joined = side_ * side_ * spec_.width;
    ASSIGN_OR_RETURN(norm_, reader.norm("mm.model.mlp.0", joined));
    ASSIGN_OR_RETURN(first_, reader.linear("mm.model.mlp.1", spec_.out, joined));
    ASSIGN_OR_RETURN(second_, reader.linear("mm.model.mlp.3", spec_.out, spec_.out));
    return {};
  }
  uint32_t tokens(const Layout& layout) const override {
    return static_cast<uint32_t>(layout.order.size() / (side_ * side_));
  }
  Result<std::vector<float>> embed(Workbench& bench, const Layout&, const Rows& x,
                                   const std::vector<Rows>&) const override {
    const Rows patches = spec_.class_token ? x.from(1) : x;
    ASSIGN_OR_RETURN(const Rows joined, bench.norm(patches.as(side_ * side_ * spec_.width), device::NormKind::kLayer,
                                                   norm_, kJoin_epsilon));
    ASSIGN_OR_RETURN(const Rows out, bench.two(joined, first_, device::Activation::kGeluTanh, second_));
    return bench.get(out);
  }

  uint64_t row_floats() const override { return spec_.width + 2 * spec_.out / (side_ * side_) + 1; }

  std::vector<Piece> assemble(const Views&, std::vector<std::vector<float>> embeddings) const override {
    Piece all;
    for (const std::vector<float>& view : embeddings) append(all.embeddings, view);
    return {{.text = "<img>"}, std::move(all), {.text = "</img>"}};
  }
  std::vector<std::string> other_tensors() const override { return LearnedPositions::tensors(); }

 private:
  // By the number of tiles, then by columns; of equal shapes the larger, if the picture has that many pixels.
  Size nearest_grid(Size picture) const {
    std::set<std::tuple<uint32_t, uint32_t, uint32_t>> grids;
    for (uint32_t i = 1; i <= most_; ++i)
      for (uint32_t j = 1; j <= most_; ++j)
        if (i * j >= least_ && i * j <= most_) grids.insert({i * j, i, j});
    const double shape = static_cast<double>(picture.width) / picture.height;
    const double area = static_cast<double>(picture.width) * picture.height;
    double nearest = std::numeric_limits<double>::infinity();
    Size best{1, 1};
    for (const auto& [count, columns, rows] : grids) {
      const double distance = std::abs(shape - static_cast<double>(columns) / rows);
      const bool as_large = area > 0.5 * spec_.image_size * spec_.image_size * count;
      if (distance < nearest || (distance == nearest && as_large)) best = {columns, rows};
      nearest = std::min(nearest, distance);
    }
    return best;
  }

  const Spec spec_;
  const uint32_t side_, least_, most_;
  const LearnedPositions positions_;
  models::Norm norm_;
  models::Linear first_, second_;
};

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::Tensor* last = keys.file().tensor("mm.model.mlp.3.weight");
  if (last == nullptr)
    return error(ErrorKind::kInvalidData, "{}: tensor mm.model.mlp.3.weight is missing", keys.file().path());
  spec->out = static_cast<uint32_t>(std::min<uint64_t>(last->shape[1], 1 << 20));
  ASSIGN_OR_RETURN(const uint32_t side, keys.count("projector.scale_factor", 1, 16));
  ASSIGN_OR_RETURN(const uint32_t least, keys.count_or("preproc_min_tiles", 1, 1, kMost_tiles));
  ASSIGN_OR_RETURN(const uint32_t most, keys.count_or("preproc_max_tiles", 12, least, kMost_tiles));
  ASSIGN_OR_RETURN(LearnedPositions positions, LearnedPositions::read(keys, *spec));
  return std::unique_ptr<Projector>(new InternVl(*spec, side, least, most, std::move(positions)));
}

const Family kInternVl{{"internvl"}, read};
const RegisterFamily registered(&kInternVl);

}  // namespace
}  // namespace hearth::vision
