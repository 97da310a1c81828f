// Pixtral (Agrawal et al. 2024, "Pixtral 12B") and Mistral Small 3.1, which joins 2 x 2 patches: pictures of any shape,
// and an embedding that ends each row but the last. In Ollama's files that is the text model's of [IMG_BREAK], and the
// halves of a head turn.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "vision/ollama.h"
#include "vision/views.h"

namespace hearth::vision {
namespace {

class Pixtral : public Projector {
 public:
  // `row_end`: an embedding, or empty: the token [IMG_BREAK] ends rows.
  Pixtral(const Spec& spec, uint32_t side, std::vector<float> row_end)
      : spec_(spec), side_(side), row_end_(std::move(row_end)) {}

  Views prepare(const image::Picture& picture) const override {
    const uint32_t unit = spec_.patch * side_;
    double w = picture.width, h = picture.height;
    const double longest = spec_.image_size, ratio = std::max(h / longest, w / longest);
    if (ratio > 1) h = std::max(1.0, std::floor(h / ratio)), w = std::max(1.0, std::floor(w / ratio));
    const auto whole = [&](double side) { return static_cast<uint32_t>(std::ceil(side / unit)) * unit; };
    return one_view(picture, image::resize(picture, whole(w), whole(h), image::Filter::kBicubic));
  }
  Layout lay_out(uint32_t columns, uint32_t rows) const override { return in_groups(columns, rows, side_); }
  bool add_positions(const Layout&, std::span<float>) const override { return true; }

  Status read(models::TensorReader& reader) override {
    if (side_ > 1) {
      ASSIGN_OR_RETURN(join_norm_, reader.norm("mm.input_norm", spec_.width));
      const uint32_t cells = side_ * side_, width = spec_.width;
      // Its columns are channel by channel; ours neighbour by neighbour.
      ASSIGN_OR_RETURN(join_.weight,
                       reader.rearranged("mm.patch_merger.weight", {width, cells * width}, {width, cells * width}, 1,
                                         [=](uint32_t row, uint32_t col) {
                                           return models::MatrixPlace{row, col % width * cells + col / width};
                                         }));
    }
    ASSIGN_OR_RETURN(first_, reader.linear("mm.1", spec_.out, spec_.width));
    ASSIGN_OR_RETURN(second_, reader.linear("mm.2", spec_.out, spec_.out));
    return {};
  }

  uint32_t tokens(const Layout& layout) const override {
    const uint32_t rows = layout.rows / side_;
    return layout.columns / side_ * rows + (row_end_.empty() ? 0 : rows - 1);
  }
  Result<std::vector<float>> embed(Workbench& bench, const Layout& layout, const Rows& x,
                                   const std::vector<Rows>&) const override {
    Rows rows = x;
    if (side_ > 1) {
      ASSIGN_OR_RETURN(rows, bench.norm(x, device::NormKind::kRms, join_norm_, spec_.epsilon));
      ASSIGN_OR_RETURN(rows, bench.linear(rows.as(side_ * side_ * spec_.width), join_));
    }
    ASSIGN_OR_RETURN(const Rows out, bench.two(rows, first_, device::Activation::kGeluTanh, second_));
    ASSIGN_OR_RETURN(const std::vector<float> all, bench.get(out));
    if (row_end_.empty()) return all;
    const size_t row = size_t{layout.columns / side_} * spec_.out;
    std::vector<float> with_ends;
    for (size_t at = 0; at < all.size(); at += row) {
      if (at != 0) append(with_ends, row_end_);
      append(with_ends, std::span(all).subspan(at, row));
    }
    return with_ends;
  }

  uint64_t row_floats() const override { return 2 * spec_.width + 2 * spec_.out / (side_ * side_); }

  std::vector<Piece> assemble(const Views& views, std::vector<std::vector<float>> embeddings) const override {
    if (!row_end_.empty()) return {{.embeddings = std::move(embeddings[0])}, {.text = "[IMG_END]"}};
    const size_t row = size_t{views.pictures[0].width / spec_.patch / side_} * spec_.out;
    std::vector<Piece> pieces;
    for (size_t at = 0; at < embeddings[0].size(); at += row) {
      if (at != 0) pieces.push_back({.text = "[IMG_BREAK]"});
      const auto first = embeddings[0].begin() + static_cast<ptrdiff_t>(at);
      pieces.push_back({.embeddings = {first, first + static_cast<ptrdiff_t>(row)}});
    }
    pieces.push_back({.text = "[IMG_END]"});
    return pieces;
  }
  std::vector<std::string> other_tensors() const override { return {"v.token_embd.img_break"}; }

 private:
  const Spec spec_;
  const uint32_t side_;
  const std::vector<float> row_end_;
  models::Norm join_norm_;
  models::Linear join_, first_, second_;
};

// Of the frequencies of one axis every second one is for rows, the others for columns.
device::Rope rope_of(const Spec& spec, float base, device::Rope::Pairs pairs) {
  device::Rope rope;
  rope.pairs = pairs;
  const uint32_t half = spec.head() / 2;
  rope.dims = 2 * half;
  for (uint32_t i = 0; i < half; ++i) {
    const uint32_t at = i < half / 2 ? 2 * i : 2 * (i - half / 2) + 1;
    rope.inverse_frequency.push_back(std::pow(base, -static_cast<float>(at) / static_cast<float>(half)));
    rope.axis.push_back(i < half / 2 ? 1 : 2);
  }
  return rope;
}

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::Tensor* last = keys.file().tensor("mm.2.weight");
  if (last == nullptr) return error(ErrorKind::kInvalidData, "{}: tensor mm.2.weight is missing", keys.file().path());
  spec->out = static_cast<uint32_t>(std::min<uint64_t>(last->shape[1], 1 << 20));
  spec->norm = device::NormKind::kRms;
  if (spec->head() % 4 != 0)
    return error(ErrorKind::kInvalidData, "{}: heads of {} numbers cannot turn by rows and columns", keys.file().path(),
                 spec->head());
  const double base = keys.file().f64_or("clip.rope.freq_base", 1e4);
  if (!(base > 1 && base < 1e12))
    return error(ErrorKind::kInvalidData, "{}: clip.rope.freq_base is {}", keys.file().path(), base);
  const bool of_ollama = is_of_ollama(keys.file());
  using Pairs = device::Rope::Pairs;
  spec->rope = rope_of(*spec, static_cast<float>(base), of_ollama ? Pairs::kHalves : Pairs::kAdjacent);
  ASSIGN_OR_RETURN(const uint32_t side, keys.count_or("spatial_merge_size", 1, 1, 16));
  std::vector<float> row_end;
  if (!of_ollama) {
    ASSIGN_OR_RETURN(row_end, keys.values("v.token_embd.img_break", spec->out));
  }
  return std::unique_ptr<Projector>(new Pixtral(*spec, side, std::move(row_end)));
}

const Family kPixtral{{"pixtral"}, read};
const RegisterFamily registered(&kPixtral);

}  // namespace
}  // namespace hearth::vision
