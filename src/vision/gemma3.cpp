// Gemma 3 (Gemma Team 2025, "Gemma 3 Technical Report"): SigLIP, and the mean of 4 x 4 patches for each token.
#include "base/error.h"
#include "vision/positions.h"

namespace hearth::vision {
namespace {

constexpr uint32_t kPool = 4;

class Gemma3 : public Projector {
 public:
  Gemma3(const Spec& spec, LearnedPositions positions) : spec_(spec), positions_(std::move(positions)) {}

  Views prepare(const image::Picture& picture) const override {
    return one_view(picture, image::resize(picture, spec_.image_size, spec_.image_size, image::Filter::kBilinear));
  }
  Layout lay_out(uint32_t columns, uint32_t rows) const override { return in_groups(columns, rows, kPool); }
  bool add_positions(const Layout& layout, std::span<float> rows) const override {
    return positions_.add(layout, rows);
  }

  Status read(models::TensorReader& reader) override {
    ASSIGN_OR_RETURN(last_norm_, reader.norm("v.post_ln", spec_.width));
    ASSIGN_OR_RETURN(norm_, reader.norm("mm.soft_emb_norm", spec_.width));
    // It is stored with rows and columns exchanged.
    ASSIGN_OR_RETURN(projection_.weight, reader.rearranged("mm.input_projection.weight", {spec_.width, spec_.out},
                                                           {spec_.out, spec_.width}, 1, [](uint32_t row, uint32_t col) {
                                                             return models::MatrixPlace{col, row};
                                                           }));
    return {};
  }

  uint32_t tokens(const Layout& layout) const override {
    return static_cast<uint32_t>(layout.order.size() / (kPool * kPool));
  }
  Result<std::vector<float>> embed(Workbench& bench, const Layout&, const Rows& x,
                                   const std::vector<Rows>&) const override {
    ASSIGN_OR_RETURN(const Rows last, bench.norm(x, spec_.norm, last_norm_, spec_.epsilon));
    ASSIGN_OR_RETURN(const std::vector<float> rows, bench.get(last));
    ASSIGN_OR_RETURN(const Rows means, bench.put(means_of(rows, spec_.width, kPool * kPool), spec_.width));
    ASSIGN_OR_RETURN(const Rows normed, bench.norm(means, device::NormKind::kRms, norm_, spec_.epsilon));
    ASSIGN_OR_RETURN(const Rows out, bench.linear(normed, projection_));
    return bench.get(out);
  }

  uint64_t row_floats() const override { return 2 * spec_.width + spec_.out / kPool; }

  std::vector<Piece> assemble(const Views&, std::vector<std::vector<float>> embeddings) const override {
    return {{.text = "<start_of_image>"}, {.embeddings = std::move(embeddings[0])}, {.text = "<end_of_image>"}};
  }
  bool see_each_other() const override { return true; }
  std::vector<std::string> other_tensors() const override { return LearnedPositions::tensors(); }

 private:
  const Spec spec_;
  const LearnedPositions positions_;
  models::Norm last_norm_, norm_;
  models::Linear projection_;
};

Result<std::unique_ptr<Projector>> read(const Keys& keys, Spec* spec) {
  const gguf::Tensor* last = keys.file().tensor("mm.input_projection.weight");
  if (last == nullptr)
    return error(ErrorKind::kInvalidData, "{}: tensor mm.input_projection.weight is missing", keys.file().path());
  spec->out = static_cast<uint32_t>(std::min<uint64_t>(last->shape[0], 1 << 20));
  ASSIGN_OR_RETURN(LearnedPositions positions, LearnedPositions::read(keys, *spec));
  return std::unique_ptr<Projector>(new Gemma3(*spec, std::move(positions)));
}

const Family kGemma3{{"gemma3"}, read};
const RegisterFamily registered(&kGemma3);

}  // namespace
}  // namespace hearth::vision
