// Qwen2-VL (Wang et al. 2024), Qwen2.5-VL (Bai et al. 2025: windows of 112 pixels), Qwen3-VL (2025: learned positions,
// features of some blocks for the text model's first layers) and Qwen3.5. Four patches make a token.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "vision/views.h"

namespace hearth::vision {
namespace {

constexpr uint32_t kSide = 2, kWindow_pixels = 112;
constexpr uint64_t kLeast_tokens = 8, kMost_tokens = 4096;
constexpr float kRope_base = 1e4f;

struct Deep {
  models::Norm norm;
  models::Linear first, second;
};

class Qwen : public Projector {
 public:
  Qwen(const Spec& spec, std::vector<float> table) : spec_(spec), table_(std::move(table)) {}

  Views prepare(const image::Picture& picture) const override {
    const uint32_t unit = kSide * spec_.patch;
    const uint64_t area = uint64_t{unit} * unit;
    const Size size = multiples_of({picture.width, picture.height}, unit, kLeast_tokens * area, kMost_tokens * area);
    return one_view(picture, image::resize(picture, size.width, size.height, image::Filter::kBicubic));
  }

  // With windows, one window after the other.
  Layout lay_out(uint32_t columns, uint32_t rows) const override {
    Layout layout = in_groups(columns, rows, kSide);
    if (spec_.whole_every == 0) return layout;
    const uint32_t cell = kWindow_pixels / spec_.patch / kSide * kSide;
    std::map<std::pair<uint32_t, uint32_t>, std::vector<uint32_t>> windows;
    for (const uint32_t patch : layout.order)
      windows[{patch / columns / cell, patch % columns / cell}].push_back(patch);
    layout.order.clear();
    for (const auto& [place, patches] : windows) {
      layout.order.insert(layout.order.end(), patches.begin(), patches.end());
      layout.windows.push_back(static_cast<uint32_t>(patches.size()));
    }
    return layout;
  }

  bool add_positions(const Layout& layout, std::span<float> rows) const override {
    if (table_.empty()) return true;
    for (size_t i = 0; i < layout.order.size(); ++i)
      add_stretched(layout, layout.order[i], rows.data() + i * spec_.width);
    return true;
  }

  Status read(models::TensorReader& reader) override {
    const uint32_t joined = kSide * kSide * spec_.width;
    ASSIGN_OR_RETURN(last_norm_, reader.norm("v.post_ln", spec_.width));
    ASSIGN_OR_RETURN(first_, reader.linear("mm.0", joined, joined));
    ASSIGN_OR_RETURN(second_, reader.linear("mm.2", spec_.out, joined));
    deep_.clear();
    for (const uint32_t passed : spec_.seen) {
      const std::string name = fmt::format("v.deepstack.{}.", passed - 1);
      Deep deep;
      ASSIGN_OR_RETURN(deep.norm, reader.norm(name + "norm", joined));
      ASSIGN_OR_RETURN(deep.first, reader.linear(name + "fc1", joined, joined));
      ASSIGN_OR_RETURN(deep.second, reader.linear(name + "fc2", spec_.out, joined));
      deep_.push_back(std::move(deep));
    }
    return {};
  }

  Result<Rows> keep(Workbench& bench, uint32_t passed, const Rows& x) const override {
    const auto at = static_cast<size_t>(std::ranges::find(spec_.seen, passed) - spec_.seen.begin());
    const Deep& deep = deep_[at];
    ASSIGN_OR_RETURN(const Rows normed,
                     bench.norm(x.as(kSide * kSide * spec_.width), device::NormKind::kLayer, deep.norm, spec_.epsilon));
    return bench.two(normed, deep.first, device::Activation::kGeluTanh, deep.second);
  }

  uint32_t tokens(const Layout& layout) const override {
    return static_cast<uint32_t>(layout.order.size() / (kSide * kSide));
  }
  Result<std::vector<float>> embed(Workbench& bench, const Layout& layout, const Rows& x,
                                   const std::vector<Rows>& seen) const override {
    ASSIGN_OR_RETURN(const Rows last, bench.norm(x, spec_.norm, last_norm_, spec_.epsilon));
    ASSIGN_OR_RETURN(const Rows out,
                     bench.two(last.as(kSide * kSide * spec_.width), first_, device::Activation::kGeluTanh, second_));
    std::vector<std::vector<float>> parts(1);
    ASSIGN_OR_RETURN(parts[0], bench.get(out));
    for (const Rows& rows : seen) {
      ASSIGN_OR_RETURN(parts.emplace_back(), bench.get(rows));
    }
    return in_order(layout, parts);
  }

  uint64_t row_floats() const override { return (1 + spec_.seen.size()) * (2 * spec_.width + spec_.out / kSide); }

  std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const override {
    const uint32_t unit = kSide * spec_.patch;
    return {{.text = "<|vision_start|>"},
            {.embeddings = std::move(embeddings[0]),
             .columns = views.pictures[0].width / unit,
             .rows = views.pictures[0].height / unit},
            {.text = "<|vision_end|>"}};
  }

  uint32_t deep() const override { return static_cast<uint32_t>(spec_.seen.size()); }
  std::vector<std::string> other_tensors() const override { return {"v.position_embd.weight"}; }

 private:
  // Between the rows of a square table, its corners on those of the view.
  void add_stretched(const Layout& layout, uint32_t patch, float* to) const {
    const auto side = static_cast<uint32_t>(std::lround(std::sqrt(table_.size() / spec_.width)));
    const auto place = [&](uint32_t at, uint32_t count) {
      return count > 1 ? static_cast<double>(side - 1) * at / (count - 1) : 0.0;
    };
    const double y = place(patch / layout.columns, layout.rows), x = place(patch % layout.columns, layout.columns);
    const auto y0 = static_cast<uint32_t>(y), x0 = static_cast<uint32_t>(x);
    for (const auto& [row, by_row] : {std::pair{y0, 1 - (y - y0)}, {std::min(y0 + 1, side - 1), y - y0}})
      for (const auto& [column, by_column] : {std::pair{x0, 1 - (x - x0)}, {std::min(x0 + 1, side - 1), x - x0}}) {
        const float* from = table_.data() + (size_t{row} * side + column) * spec_.width;
        const auto share = static_cast<float>(by_row * by_column);
        for (uint32_t c = 0; c < spec_.width; ++c) to[c] += share * from[c];
      }
  }

  // Token by token as they stand in the picture, the parts of each behind one another.
  std::vector<float> in_order(const Layout& layout, const std::vector<std::vector<float>>& parts) const {
    const size_t count = parts[0].size() / spec_.out;
    std::vector<float> all(count * parts.size() * spec_.out);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t patch = layout.order[i * kSide * kSide];
      const size_t token =
          size_t{patch / layout.columns / kSide} * (layout.columns / kSide) + patch % layout.columns / kSide;
      for (size_t part = 0; part < parts.size(); ++part)
        std::copy_n(parts[part].begin() + static_cast<ptrdiff_t>(i * spec_.out), spec_.out,
                    all.begin() + static_cast<ptrdiff_t>((token * parts.size() + part) * spec_.out));
    }
    return all;
  }

  const Spec spec_;
  const std::vector<float> table_;
  models::Norm last_norm_;
  models::Linear first_, second_;
  std::vector<Deep> deep_;
};

// Half of the pairs turn by rows, half by columns.
device::Rope rope_of(const Spec& spec) {
  device::Rope rope;
  rope.pairs = device::Rope::Pairs::kHalves;
  const uint32_t quarter = spec.head() / 4;
  rope.dims = 4 * quarter;
  for (const uint8_t axis : {uint8_t{1}, uint8_t{2}})
    for (uint32_t i = 0; i < quarter; ++i) {
      rope.inverse_frequency.push_back(std::pow(kRope_base, -static_cast<float>(i) / static_cast<float>(quarter)));
      rope.axis.push_back(axis);
    }
  return rope;
}

// Of so many blocks the last has no windows: as a number, or told by the blocks that have none.
Result<uint32_t> whole_every(const Keys& keys, uint32_t layers) {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> whole, keys.counts("fullatt_block_indexes", layers, layers - 1));
  if (whole.empty()) return keys.count_or("n_wa_pattern", 0, 0, 1 << 10);
  for (size_t i = 0; i < whole.size(); ++i)
    if (whole[i] + 1 != (whole[0] + 1) * (i + 1))
      return error(ErrorKind::kUnsupported,
                   "{}: clip.vision.fullatt_block_indexes tells blocks without windows at no equal distances",
                   keys.file().path());
  return whole[0] + 1;
}

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::Tensor* last = keys.file().tensor("mm.2.weight");
  if (last == nullptr) return error(ErrorKind::kInvalidData, "{}: tensor mm.2.weight is missing", keys.file().path());
  spec->out = static_cast<uint32_t>(std::min<uint64_t>(last->shape[1], 1 << 20));
  spec->two_frames = true;
  if (spec->head() % 4 != 0)
    return error(ErrorKind::kInvalidData, "{}: heads of {} numbers cannot turn by rows and columns", keys.file().path(),
                 spec->head());
  spec->rope = rope_of(*spec);
  std::vector<float> table;
  if (spec->projector == "qwen2.5vl_merger") {
    spec->norm = device::NormKind::kRms;
    ASSIGN_OR_RETURN(spec->whole_every, whole_every(keys, spec->layers));
    if (spec->patch * kSide > kWindow_pixels)
      return error(ErrorKind::kInvalidData, "{}: patches of {} pixels are larger than windows of {}",
                   keys.file().path(), spec->patch, kWindow_pixels);
  }
  if (spec->projector == "qwen3vl_merger") {
    for (uint32_t i = 0; i < spec->layers; ++i)
      if (keys.has(fmt::format("v.deepstack.{}.norm.weight", i))) spec->seen.push_back(i + 1);
    const gguf::Tensor* positions = keys.file().tensor("v.position_embd.weight");
    const uint64_t count = positions == nullptr ? 0 : positions->shape[1];
    const auto side = static_cast<uint64_t>(std::lround(std::sqrt(static_cast<double>(count))));
    if (count == 0 || side * side != count || count > 1 << 24)
      return error(ErrorKind::kInvalidData, "{}: tensor v.position_embd.weight has {} rows; expected a square",
                   keys.file().path(), count);
    ASSIGN_OR_RETURN(table, keys.values("v.position_embd.weight", count * spec->width));
  }
  return std::unique_ptr<Projector>(new Qwen(*spec, std::move(table)));
}

const Family kQwen{{"qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger"}, read};
const RegisterFamily registered(&kQwen);

}  // namespace
}  // namespace hearth::vision
