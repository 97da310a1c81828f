// Gemma 4: pictures as large as a budget of tokens allows, positions by column and row both learned and rotated, and
// the mean of 3 x 3 patches for each token.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "vision/views.h"

namespace hearth::vision {
namespace {

constexpr uint32_t kPool = 3, kTokens = 280;
constexpr float kRope_base = 100;

class Gemma4 : public Projector {
 public:
  Gemma4(const Spec& spec, std::vector<float> table, std::vector<float> bias, std::vector<float> scale)
      : spec_(spec), table_(std::move(table)), bias_(std::move(bias)), scale_(std::move(scale)) {}

  Views prepare(const image::Picture& picture) const override {
    const double unit = kPool * spec_.patch, w = picture.width, h = picture.height;
    const double factor = std::sqrt(kTokens * unit * unit / (w * h));
    double units_high = std::floor(h * factor / unit), units_wide = std::floor(w * factor / unit);
    if (units_high == 0) {
      units_high = 1;
      units_wide = std::min<double>(std::max(picture.width / picture.height, 1u), kTokens);
    } else if (units_wide == 0) {
      units_wide = 1;
      units_high = std::min<double>(std::max(picture.height / picture.width, 1u), kTokens);
    }
    return one_view(picture, image::resize(picture, static_cast<uint32_t>(units_wide * unit),
                                           static_cast<uint32_t>(units_high * unit), image::Filter::kBicubic));
  }

  // Also the patches that make up no whole token are seen: they come last.
  Layout lay_out(uint32_t columns, uint32_t rows) const override {
    Layout layout = in_groups(columns, rows, kPool);
    for (uint32_t y = 0; y < rows; ++y)
      for (uint32_t x = 0; x < columns; ++x)
        if (y >= rows / kPool * kPool || x >= columns / kPool * kPool) layout.order.push_back(y * columns + x);
    return layout;
  }

  bool add_positions(const Layout& layout, std::span<float> rows) const override {
    const size_t most = table_.size() / 2 / spec_.width;
    if (layout.columns > most || layout.rows > most) return false;
    for (size_t i = 0; i < layout.order.size(); ++i) {
      const uint32_t x = layout.order[i] % layout.columns, y = layout.order[i] / layout.columns;
      for (const size_t row : {size_t{x}, most + y})
        add_row(std::span(table_).subspan(row * spec_.width, spec_.width), rows.data() + i * spec_.width);
    }
    return true;
  }

  Status read(models::TensorReader& reader) override {
    ASSIGN_OR_RETURN(projection_, reader.linear("mm.input_projection", spec_.out, spec_.width));
    return {};
  }

  uint32_t tokens(const Layout& layout) const override { return layout.columns / kPool * (layout.rows / kPool); }
  Result<std::vector<float>> embed(Workbench& bench, const Layout& layout, const Rows& x,
                                   const std::vector<Rows>&) const override {
    ASSIGN_OR_RETURN(std::vector<float> rows, bench.get(x));
    const size_t tokens = size_t{layout.columns / kPool} * (layout.rows / kPool);
    rows.resize(tokens * kPool * kPool * spec_.width);
    std::vector<float> means = means_of(rows, spec_.width, kPool * kPool);
    const float root = std::sqrt(static_cast<float>(spec_.width));
    for (size_t i = 0; i < means.size(); ++i) {
      means[i] *= root;
      if (!bias_.empty()) means[i] = (means[i] - bias_[i % spec_.width]) * scale_[i % spec_.width];
    }
    ASSIGN_OR_RETURN(const Rows put, bench.put(means, spec_.width));
    ASSIGN_OR_RETURN(const Rows normed, bench.norm(put, device::NormKind::kRms, {}, spec_.epsilon));
    ASSIGN_OR_RETURN(const Rows out, bench.linear(normed, projection_));
    return bench.get(out);
  }

  uint64_t row_floats() const override { return spec_.width + spec_.out / kPool; }

  std::vector<Piece> assemble(const Views&, std::vector<std::vector<float>> embeddings) const override {
    return {{.text = "<|image>"}, {.embeddings = std::move(embeddings[0])}, {.text = "<image|>"}};
  }
  bool see_each_other() const override { return true; }
  std::vector<std::string> other_tensors() const override {
    return {"v.position_embd.weight", "v.std_bias", "v.std_scale", "v.clamp_data", "mm.a."};  // bounds once more; sound
  }

 private:
  const Spec spec_;
  const std::vector<float> table_, bias_, scale_;  // the table: columns, then rows
  models::Linear projection_;
};

// The first half of a head turns by columns, the second by rows, each with halves of its own.
device::Rope rope_of(const Spec& spec) {
  device::Rope rope;
  rope.pairs = device::Rope::Pairs::kHalves;
  const uint32_t quarter = spec.head() / 4;
  rope.dims = 4 * quarter;
  rope.parts = 2;
  for (const uint8_t axis : {uint8_t{2}, uint8_t{1}})
    for (uint32_t i = 0; i < quarter; ++i) {
      rope.inverse_frequency.push_back(std::pow(kRope_base, -static_cast<float>(i) / static_cast<float>(quarter)));
      rope.axis.push_back(axis);
    }
  return rope;
}

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::File& file = keys.file();
  const gguf::Tensor *last = file.tensor("mm.input_projection.weight"),
                     *positions = file.tensor("v.position_embd.weight");
  if (last == nullptr || positions == nullptr || positions->shape[0] != spec->width || positions->shape[2] != 2)
    return error(ErrorKind::kInvalidData,
                 "{}: expected tensors mm.input_projection.weight and v.position_embd.weight with two tables",
                 file.path());
  spec->out = static_cast<uint32_t>(std::min<uint64_t>(last->shape[1], 1 << 20));
  if (spec->head() % 4 != 0)
    return error(ErrorKind::kInvalidData, "{}: heads of {} numbers cannot turn by rows and columns", file.path(),
                 spec->head());
  spec->norm = device::NormKind::kRms;
  spec->norm_values = true;
  spec->attention_scale = 1;
  spec->rope = rope_of(*spec);
  for (float& mean : spec->mean) mean += 0.5f;  // 0 to 1 becomes -1 to 1 within
  for (float& deviation : spec->deviation) deviation *= 0.5f;
  ASSIGN_OR_RETURN(std::vector<float> table, keys.values("v.position_embd.weight", positions->values()));
  std::vector<float> bias, scale;
  if (keys.has("v.std_bias")) {
    ASSIGN_OR_RETURN(bias, keys.values("v.std_bias", spec->width));
    ASSIGN_OR_RETURN(scale, keys.values("v.std_scale", spec->width));
  }
  return std::unique_ptr<Projector>(new Gemma4(*spec, std::move(table), std::move(bias), std::move(scale)));
}

const Family kGemma4{{"gemma4v"}, read};
const RegisterFamily registered(&kGemma4);

}  // namespace
}  // namespace hearth::vision
