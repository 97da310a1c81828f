// LLaVA 1.5 and 1.6 (Liu et al. 2023, "Improved Baselines with Visual Instruction Tuning"; 2024, "LLaVA-NeXT"), and
// Granite Vision 3, which has outputs of several blocks beside one another (feature_layer).
#include <cmath>

#include "base/error.h"
#include "vision/positions.h"

namespace hearth::vision {
namespace {

constexpr std::array<uint8_t, 3> kGround{122, 116, 104}, kBlack{0, 0, 0};  // CLIP's mean colour
constexpr uint32_t kMost_side = 1 << 14;

class Llava : public Projector {
 public:
  Llava(const Spec& spec, LearnedPositions positions, std::vector<Size> resolutions, std::vector<float> newline)
      : spec_(spec),
        positions_(std::move(positions)),
        resolutions_(std::move(resolutions)),
        newline_(std::move(newline)) {}

  Views prepare(const image::Picture& picture) const override {
    const Size side{spec_.image_size, spec_.image_size};
    if (resolutions_.empty()) return one_view(picture, fit(picture, side, kGround));
    const Size best = best_resolution({picture.width, picture.height}, resolutions_);
    Views views = one_view(picture, image::resize(picture, side.width, side.height, image::Filter::kBicubic));
    add_tiles(fit(picture, best, kBlack), side, &views.pictures);
    views.columns = best.width / side.width;
    views.rows = best.height / side.height;
    return views;
  }

  bool add_positions(const Layout& layout, std::span<float> rows) const override {
    return positions_.add(layout, rows);
  }

  Status read(models::TensorReader& reader) override {
    const uint32_t in = spec_.width * std::max<uint32_t>(1, static_cast<uint32_t>(spec_.seen.size()));
    ASSIGN_OR_RETURN(first_, reader.linear("mm.0", spec_.out, in));
    ASSIGN_OR_RETURN(second_, reader.linear("mm.2", spec_.out, spec_.out));
    return {};
  }

  // A copy: the rows are worked on.
  Result<Rows> keep(Workbench& bench, uint32_t, const Rows& x) const override {
    return bench.norm(x, device::NormKind::kNone, {}, 0);
  }

  uint32_t tokens(const Layout& layout) const override { return static_cast<uint32_t>(layout.order.size()); }
  Result<std::vector<float>> embed(Workbench& bench, const Layout&, const Rows& x,
                                   const std::vector<Rows>& seen) const override {
    Rows all = x;
    if (!seen.empty()) {
      ASSIGN_OR_RETURN(all, beside(bench, seen));
    }
    const Rows patches = spec_.class_token ? all.from(1) : all;
    ASSIGN_OR_RETURN(const Rows out, bench.two(patches, first_, device::Activation::kGeluTanh, second_));
    return bench.get(out);
  }

  uint64_t row_floats() const override { return 2 * spec_.out + 2 * spec_.seen.size() * spec_.width; }

  std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const override {
    std::vector<Piece> pieces(1);
    pieces[0].embeddings = embeddings[0];
    if (views.columns == 0) return pieces;
    append_grid(views, embeddings, &pieces[0].embeddings);
    return pieces;
  }

  // Old files keep the norm that nothing reads.
  std::vector<std::string> other_tensors() const override {
    return {"v.class_embd", "v.position_embd.weight", "model.image_newline", "v.post_ln.weight", "v.post_ln.bias"};
  }

 private:
  // Features of the same row side by side.
  Result<Rows> beside(Workbench& bench, const std::vector<Rows>& seen) const {
    const uint32_t width = spec_.width * static_cast<uint32_t>(seen.size());
    ASSIGN_OR_RETURN(const Rows all, bench.rows(seen[0].rows, width));
    const device::Pieces pieces{1, spec_.width, 0, width, 0};
    TRY(bench.step(all.rows, [&] {
      for (size_t i = 0; i < seen.size(); ++i)
        bench.device().norm({.kind = device::NormKind::kNone,
                             .weight = {nullptr, spec_.width},
                             .bias = {},
                             .in = seen[i].data,
                             .operand = {},
                             .out = all.data + i * spec_.width,
                             .pieces = &pieces});
    }));
    return all;
  }

  // The rows of the tiles' grid, without what was padded, each with the newline behind it.
  void append_grid(const Views& views, const std::vector<std::vector<float>>& embeddings,
                   std::vector<float>* to) const {
    const uint32_t side = spec_.image_size / spec_.patch;
    const uint32_t columns = views.columns * side, rows = views.rows * side;
    uint32_t left = 0, top = 0;
    const double w = views.width, h = views.height;
    // Seven places, so that what is whole stays whole.
    const auto whole = [](double x) { return static_cast<uint32_t>(std::round(x * 1e7) / 1e7); };
    if (w / h > static_cast<double>(columns) / rows)
      top = (rows - std::min(rows, whole(h * (columns / w)))) / 2;
    else
      left = (columns - std::min(columns, whole(w * (rows / h)))) / 2;
    for (uint32_t y = top; y < rows - top; ++y) {
      for (uint32_t x = left; x < columns - left; ++x) {
        const std::vector<float>& tile = embeddings[1 + y / side * views.columns + x / side];
        append(*to, std::span(tile).subspan(size_t{y % side * side + x % side} * spec_.out, spec_.out));
      }
      append(*to, newline_);
    }
  }

  const Spec spec_;
  const LearnedPositions positions_;
  const std::vector<Size> resolutions_;
  const std::vector<float> newline_;
  models::Linear first_, second_;
};

Result<std::vector<Size>> read_resolutions(const Keys& keys, const Spec& spec) {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> sides, keys.counts("image_grid_pinpoints", 256, kMost_side));
  std::vector<Size> all;
  for (size_t i = 0; i + 1 < sides.size(); i += 2) {
    if (sides[i] == 0 || sides[i + 1] == 0 || sides[i] % spec.image_size != 0 || sides[i + 1] % spec.image_size != 0)
      return error(ErrorKind::kInvalidData,
                   "{}: clip.vision.image_grid_pinpoints has {} x {}; expected multiples of {} pixels",
                   keys.file().path(), sides[i], sides[i + 1], spec.image_size);
    all.push_back({sides[i], sides[i + 1]});
  }
  return all;
}

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::Tensor* last = keys.file().tensor("mm.2.weight");
  if (last == nullptr) return error(ErrorKind::kInvalidData, "{}: tensor mm.2.weight is missing", keys.file().path());
  spec->out = static_cast<uint32_t>(std::min<uint64_t>(last->shape[1], 1 << 20));
  ASSIGN_OR_RETURN(spec->seen, keys.counts("feature_layer", 64, spec->layers));
  ASSIGN_OR_RETURN(LearnedPositions positions, LearnedPositions::read(keys, *spec));
  ASSIGN_OR_RETURN(std::vector<Size> resolutions, read_resolutions(keys, *spec));
  std::vector<float> newline;
  if (!resolutions.empty()) {
    ASSIGN_OR_RETURN(newline, keys.values("model.image_newline", spec->out));
  }
  return std::unique_ptr<Projector>(new Llava(*spec, std::move(positions), std::move(resolutions), std::move(newline)));
}

const Family kLlava{{"mlp"}, read};
const RegisterFamily registered(&kLlava);

}  // namespace
}  // namespace hearth::vision
