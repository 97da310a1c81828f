#include "vision/encoder.h"

#include "base/check.h"
#include "base/error.h"
#include "models/sound.h"
#include "models/weight_stream.h"
#include "vision/ollama.h"

namespace hearth::vision {
namespace {

// What a run is reckoned with where views may be of any size.
constexpr uint32_t kUsual_patches = 4096;

struct Parts {
  Tower tower;
  std::unique_ptr<Projector> projector;
};

Result<Parts> read_parts(const gguf::File& file) {
  const Keys keys(file);
  const std::string name = projector_of(file);
  if (name.empty()) return error(ErrorKind::kUnsupported, "{}: there is no encoder of pictures in it", file.path());
  const Family* family = find_family(name);
  if (family == nullptr)
    return error(ErrorKind::kUnsupported, "{}: encoders of kind '{}' are not supported; supported: {}", file.path(),
                 name, fmt::join(family_names(), ", "));
  ASSIGN_OR_RETURN(Spec spec, read_spec(keys));
  ASSIGN_OR_RETURN(std::unique_ptr<Projector> projector, family->read(keys, &spec));
  return Parts{Tower(std::move(spec)), std::move(projector)};
}

bool is_of_pictures(std::string_view tensor) {
  return tensor.starts_with("v.") || tensor.starts_with("mm.") || tensor.starts_with("resampler.");
}

Status read_weights(models::TensorReader& reader, Parts& parts) {
  TRY(parts.tower.read(reader));
  TRY(parts.projector->read(reader));
  models::Spec known;  // what is left alone
  known.architecture = parts.tower.spec().projector;
  known.layers = parts.tower.spec().layers;
  known.other_tensors = parts.projector->other_tensors();
  for (const gguf::Tensor& tensor : reader.file().tensors())
    if (!is_of_pictures(tensor.name)) known.other_tensors.push_back(tensor.name);  // the text model's, or of sound
  return reader.check_all_taken(known);
}

uint32_t usual_rows(const Spec& spec) {
  const uint32_t side = spec.image_size / spec.patch;
  return std::clamp(side * side, 1u, kUsual_patches) + (spec.class_token ? 1 : 0);
}

}  // namespace

bool has_encoder(const gguf::File& file) {
  return !projector_of(file).empty();
}

struct Encoder::Impl {
  std::shared_ptr<const gguf::File> file;
  device::Device& device;
  Parts parts;
  device::Buffer weights;
  Workbench bench;

  const Spec& spec() const { return parts.tower.spec(); }
  Result<std::vector<float>> encode(const image::Picture& view);
};

Encoder::Encoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Encoder::~Encoder() = default;

Result<Memory> Encoder::estimate(const gguf::File& file, const device::Sizing& sizing) {
  const std::shared_ptr<const gguf::File> usual = with_usual_names(file);
  ASSIGN_OR_RETURN(Parts parts, read_parts(*usual));
  models::TensorReader reader(*usual, sizing, false);
  TRY(read_weights(reader, parts));
  const uint32_t rows = usual_rows(parts.tower.spec());
  return Memory{reader.bytes() + reader.mapped_bytes(),
                parts.tower.run_bytes(sizing, rows) + sizing.scratch_bytes(parts.tower.step_shape(rows))};
}

Result<std::unique_ptr<Encoder>> Encoder::load(std::shared_ptr<const gguf::File> file, device::Device& device) {
  TRY(models::check_complete(*file));
  file = with_usual_names(*file);
  ASSIGN_OR_RETURN(Parts parts, read_parts(*file));
  models::TensorReader counting(*file, device, false);
  TRY(read_weights(counting, parts));
  ASSIGN_OR_RETURN(device::Buffer memory, device.alloc(counting.bytes()));
  models::WeightStream stream(*file);
  models::TensorReader reader(*file, device, false, memory.data(), stream);
  TRY(read_weights(reader, parts));
  CHECK(reader.bytes() == counting.bytes());
  stream.end();
  return std::unique_ptr<Encoder>(new Encoder(std::unique_ptr<Impl>(
      new Impl{std::move(file), device, std::move(parts), std::move(memory), Workbench(device)})));
}

const Spec& Encoder::spec() const {
  return impl_->spec();
}
uint32_t Encoder::deep() const {
  return impl_->parts.projector->deep();
}
bool Encoder::see_each_other() const {
  return impl_->parts.projector->see_each_other();
}
Views Encoder::prepare(const image::Picture& picture) const {
  return impl_->parts.projector->prepare(picture);
}
std::vector<Piece> Encoder::assemble(const Views& views, std::vector<std::vector<float>> embeddings) const {
  return impl_->parts.projector->assemble(views, std::move(embeddings));
}

Result<std::vector<float>> Encoder::Impl::encode(const image::Picture& view) {
  const Projector& projector = *parts.projector;
  const Layout layout = projector.lay_out(view.width / spec().patch, view.height / spec().patch);
  const size_t rows = layout.order.size() + (spec().class_token ? 1 : 0);
  std::vector<float> base(rows * spec().width);
  if (layout.order.empty() || !projector.add_positions(layout, base))
    return error(ErrorKind::kUnsupported, "the encoder has no positions for a view of {} x {} pixels", view.width,
                 view.height);
  std::vector<Rows> seen;
  ASSIGN_OR_RETURN(const Rows x,
                   parts.tower.run(bench, view, layout, base, [&](uint32_t passed, const Rows& at) -> Status {
                     ASSIGN_OR_RETURN(seen.emplace_back(), projector.keep(bench, passed, at));
                     return {};
                   }));
  ASSIGN_OR_RETURN(std::vector<float> embeddings, projector.embed(bench, layout, x, seen));
  TRY(file->check_mapped());
  return embeddings;
}

Result<std::vector<float>> Encoder::encode(const image::Picture& view) {
  impl_->bench.clear();
  return impl_->encode(view);
}

Result<std::vector<Piece>> Encoder::read(const image::Picture& picture) {
  const Views views = prepare(picture);
  std::vector<std::vector<float>> all;
  for (const image::Picture& view : views.pictures) {
    ASSIGN_OR_RETURN(all.emplace_back(), encode(view));
  }
  return assemble(views, std::move(all));
}

}  // namespace hearth::vision
