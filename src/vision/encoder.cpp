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
  return std::max(kRows_together, std::min(side * side, kUsual_patches) + (spec.class_token ? 1 : 0));
}

// What a run over so many rows holds, besides what fills arrays up to where they may begin.
uint64_t bytes_of_run(const Parts& parts, const device::Sizing& sizing, uint32_t rows) {
  constexpr uint64_t kFilling = 64 * device::kWeight_alignment;
  return parts.tower.run_bytes(sizing, rows) + rows * parts.projector->row_floats() * sizeof(float) + kFilling;
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
  uint64_t most_kept;  // of the bench between runs
  Workbench bench;
  uint64_t passes = 0;

  const Spec& spec() const { return parts.tower.spec(); }
  Layout layout_of(const image::Picture& view) const {
    return parts.projector->lay_out(view.width / spec().patch, view.height / spec().patch);
  }
  Result<View> place(const image::Picture& view) const;
  Result<std::vector<std::vector<float>>> encode(std::span<const View> views);
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
                bytes_of_run(parts, sizing, rows) + sizing.scratch_bytes(parts.tower.step_shape(rows))};
}

Result<std::unique_ptr<Encoder>> Encoder::load(std::shared_ptr<const gguf::File> file, device::Device& device,
                                               std::function<std::chrono::nanoseconds()> bound) {
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
  const uint64_t most = bytes_of_run(parts, device, usual_rows(parts.tower.spec()));
  return std::unique_ptr<Encoder>(new Encoder(std::unique_ptr<Impl>(new Impl{
      std::move(file), device, std::move(parts), std::move(memory), most, Workbench(device, Pace(std::move(bound)))})));
}

Result<Encoder::Outline> Encoder::outline(const gguf::File& file, const image::Picture& picture) {
  ASSIGN_OR_RETURN(const Parts parts, read_parts(file));
  const Projector& projector = *parts.projector;
  const Spec& spec = parts.tower.spec();
  const uint32_t values = spec.out * (1 + projector.deep());
  const Views views = projector.prepare(picture);
  std::vector<std::vector<float>> nothing;
  for (const image::Picture& view : views.pictures) {
    const Layout layout = projector.lay_out(view.width / spec.patch, view.height / spec.patch);
    nothing.emplace_back(size_t{projector.tokens(layout)} * values);
  }
  return Outline{projector.assemble(views, std::move(nothing)), values};
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

uint32_t Encoder::rows_of(const image::Picture& view) const {
  return impl_->parts.tower.rows_of(impl_->layout_of(view));
}
uint64_t Encoder::passes() const {
  return impl_->passes;
}
uint64_t Encoder::steps() const {
  return impl_->bench.steps();
}
uint64_t Encoder::run_bytes() const {
  return impl_->bench.most_used();
}

Result<View> Encoder::Impl::place(const image::Picture& view) const {
  View placed{view, layout_of(view), {}};
  placed.base.resize(size_t{parts.tower.rows_of(placed.layout)} * spec().width);
  if (placed.layout.order.empty() || !parts.projector->add_positions(placed.layout, placed.base))
    return error(ErrorKind::kUnsupported, "the encoder has no positions for a view of {} x {} pixels", view.width,
                 view.height);
  return placed;
}

Result<std::vector<std::vector<float>>> Encoder::Impl::encode(std::span<const View> views) {
  const Projector& projector = *parts.projector;
  bench.clear(most_kept);
  ++passes;
  std::vector<Rows> seen;
  ASSIGN_OR_RETURN(const Rows x, parts.tower.run(bench, views, [&](uint32_t passed, const Rows& at) -> Status {
    ASSIGN_OR_RETURN(seen.emplace_back(), projector.keep(bench, passed, at));
    return {};
  }));
  std::vector<std::vector<float>> all;
  uint32_t first = 0;
  for (const View& view : views) {
    const Workbench::Scope scope(bench);
    const uint32_t rows = parts.tower.rows_of(view.layout);
    std::vector<Rows> own_seen;
    for (const Rows& kept : seen)  // several rows may have become one
      own_seen.push_back(kept.range(first / (x.rows / kept.rows), rows / (x.rows / kept.rows)));
    ASSIGN_OR_RETURN(all.emplace_back(), projector.embed(bench, view.layout, x.range(first, rows), own_seen));
    first += rows;
  }
  TRY(file->check_mapped());
  return all;
}

std::vector<Encoder::Embeddings> Encoder::encode(std::span<const image::Picture* const> views) {
  std::vector<View> placed;
  std::vector<Embeddings> results;
  std::vector<size_t> places;  // in `results`, of `placed`
  for (const image::Picture* view : views) {
    Result<View> one = impl_->place(*view);
    results.push_back(one ? Embeddings(std::vector<float>()) : Embeddings(one.error()));
    if (!one) continue;
    places.push_back(results.size() - 1);
    placed.push_back(std::move(*one));
  }
  if (placed.empty()) return results;
  auto together = impl_->encode(placed);
  for (size_t i = 0; i < placed.size(); ++i) {
    // What they have no memory for together, each may have alone.
    if (!together && together.error().kind == ErrorKind::kNoMemory && placed.size() > 1) {
      auto alone = impl_->encode(std::span(placed).subspan(i, 1));
      results[places[i]] = alone ? Embeddings(std::move((*alone)[0])) : Embeddings(alone.error());
    } else {
      results[places[i]] = together ? Embeddings(std::move((*together)[i])) : Embeddings(together.error());
    }
  }
  return results;
}

Encoder::Embeddings Encoder::encode(const image::Picture& view) {
  const image::Picture* const one = &view;
  return std::move(encode(std::span(&one, 1))[0]);
}

}  // namespace hearth::vision
