#include "models/model.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "models/diagnose.h"
#include "models/embedded_rows.h"
#include "models/shards.h"
#include "models/sound.h"

namespace hearth::models {

namespace {

using device::Device;
using device::kPage_tokens;
using placement::Arrangement;

Memory memory_of(const Arrangement& arrangement, std::span<const placement::ModelSizes> sizes) {
  Memory memory;
  for (const placement::Share& share : placement::shares_of(arrangement, sizes)) {
    memory.weights += share.weights;
    memory.cache += share.cache;
    memory.workspace += share.workspace;
  }
  return memory;
}

Status check_fits(const gguf::File& file, std::span<Device* const> devices, const Arrangement& arrangement,
                  std::span<const placement::ModelSizes> sizes, const LoadOptions& options) {
  const std::vector<placement::Share> shares = placement::shares_of(arrangement, sizes);
  for (size_t i = 0; i < devices.size(); ++i) {
    const placement::Share& share = shares[i];
    const uint64_t free = devices[i]->free_bytes();
    // What is read in a mapped file comes and goes page by page: it fits in any memory, if slowly.
    const bool mapped = devices[i]->reads_host_memory() && !options.copy_weights;
    if (share.total() - (mapped ? share.weights : 0) <= free) continue;
    return with_remedy(
        ErrorKind::kNoMemory,
        fmt::format(
            "{}: {} needed (weights {}, cache {} for {} pages of {} tokens, workspace {}), but {} has {} available",
            file.path(), size_text(share.total()), size_text(share.weights), size_text(share.cache), options.pages,
            kPage_tokens, size_text(share.workspace), devices[i]->facts().name, size_text(free)),
        share.weights > free ? "choose a smaller quantisation or a smaller model"
                             : "choose a smaller context or a smaller cache type");
  }
  return {};
}

// Queues copies of rows to the host; adjacent ones are one copy.
Status download_rows(Device& device, const float* from, size_t width, const std::vector<uint32_t>& rows,
                     std::span<float> to) {
  for (size_t first = 0, end; first < rows.size(); first = end) {
    end = first + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
    TRY(device::download_floats(device, from + rows[first] * width, to.subspan(first * width, (end - first) * width)));
  }
  return {};
}

// Of every device what its shards will take of it.
Status promise(std::span<Device* const> devices, const Arrangement& arrangement,
               std::span<const placement::ModelSizes> sizes, const LoadOptions& options) {
  std::vector<placement::DeviceState> states(devices.size());
  for (size_t i = 0; i < devices.size(); ++i) states[i].granularity = devices[i]->facts().granularity_bytes;
  const std::vector<placement::Share> shares = placement::shares_of(arrangement, sizes, states);
  for (size_t i = 0; i < devices.size(); ++i) {
    const bool mapped = devices[i]->reads_host_memory() && !options.copy_weights;
    const Status kept = devices[i]->promise(shares[i].total() - (mapped ? shares[i].weights : 0));
    if (kept) continue;
    for (size_t before = 0; before < i; ++before) (void)devices[before]->promise(0);
    return kept;
  }
  return {};
}

bool rotate_alike(const device::Rope& a, const device::Rope& b) {
  return a.inverse_frequency == b.inverse_frequency && a.magnitude == b.magnitude;
}

// What more cache takes of each device: the layers' growth, one of them twice, and what the device's steps need.
std::vector<uint64_t> growth_bytes(const Arrangement& arrangement, std::span<const placement::ModelSizes> from,
                                   std::span<const placement::ModelSizes> to, std::span<Device* const> devices) {
  std::vector<uint64_t> bytes(to.size()), largest(to.size());
  for (size_t layer = 0; layer < arrangement.layers.size(); ++layer) {
    const uint32_t on = arrangement.layers[layer].layer;
    const uint64_t grain = devices[on]->facts().granularity_bytes;
    const auto grains = [&](uint64_t size) { return divide_up(size, grain) * grain; };
    const uint64_t before = grains(from[on].layers[layer].cache), after = grains(to[on].layers[layer].cache);
    bytes[on] += after - before;
    largest[on] = std::max(largest[on], before);
  }
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] += largest[i] + (to[i].scratch > from[i].scratch ? to[i].scratch - from[i].scratch : 0);
  return bytes;
}

}  // namespace

Result<Memory> estimate_memory(const gguf::File& file, const device::Sizing& device, const LoadOptions& options) {
  ASSIGN_OR_RETURN(const LoadPlan load_plan, plan_load(file, options));
  ASSIGN_OR_RETURN(const placement::ModelSizes sizes, measure(file, load_plan, device));
  return memory_of(placement::all_on(0, load_plan.spec.layers), {&sizes, 1});
}

struct Model::Impl {
  Impl(std::shared_ptr<const gguf::File> file, LoadPlan what, std::vector<Device*> devices,
       std::vector<placement::ModelSizes> bytes)
      : load_plan(std::move(what)),
        sizes(std::move(bytes)),
        shards(std::move(file), load_plan, std::move(devices), sizes) {}

  Status check(const device::Batch& batch) const;
  Status read(const DeviceStep& step, device::Readout& readout) const;
  Status read_hidden(const DeviceStep& step, device::Readout& readout) const;

  LoadPlan load_plan;
  std::vector<placement::ModelSizes> sizes;
  Shards shards;
  std::vector<float> crossing;  // the residual stream on its way between devices
};

// Token numbers come from users; the rest of a batch is the engine's own work.
Status Model::Impl::check(const device::Batch& batch) const {
  const LoadOptions& options = load_plan.options;
  CHECK(batch.rows() > 0 && batch.rows() <= options.batch_rows);
  CHECK(batch.logit_rows.size() <= options.logit_rows);
  CHECK(batch.adapters.empty());  // backend_of() offers none
  for (const device::EmbeddedRows& part : batch.embedded) CHECK(part.first_row + part.rows <= batch.rows());
  for (const device::AheadRows& part : batch.ahead) CHECK(part.first_row + part.rows <= batch.rows());
  CHECK(batch.places.empty() || batch.places.size() == batch.rows());
  for (const device::BatchSequence& sequence : batch.sequences) {
    const uint64_t end = uint64_t{sequence.first_position} + sequence.rows;
    CHECK(end <= sequence.pages.size() * kPage_tokens);
    if (end > load_plan.spec.context)
      return error(ErrorKind::kUsage, "position {} lies beyond the model's context of {} tokens", end - 1,
                   load_plan.spec.context);
  }
  for (const int32_t token : batch.tokens)
    if (token < 0 || static_cast<uint32_t>(token) >= load_plan.spec.vocabulary)
      return error(ErrorKind::kUsage, "token {} is not in the vocabulary of {} tokens", token,
                   load_plan.spec.vocabulary);
  return {};
}

// Queues what brings the logits, or the best of them, to the host.
Status Model::Impl::read(const DeviceStep& step, device::Readout& readout) const {
  const uint32_t rows = static_cast<uint32_t>(step.batch.logit_rows.size());
  const size_t width = load_plan.spec.vocabulary;
  if (readout.candidates != 0) {
    device::Candidate* best = shards.candidates();
    step.device.candidates({shards.logits(), rows, load_plan.spec.vocabulary, readout.candidates, best});
    readout.best.resize(rows * (size_t{readout.candidates} + 1));
    TRY(step.device.download(reinterpret_cast<const std::byte*>(best),
                             std::as_writable_bytes(std::span(readout.best))));
  }
  return download_rows(step.device, shards.logits(), width, readout.full_rows, readout.logits);
}

// Queues what brings the rows before the output matrix to the host.
Status Model::Impl::read_hidden(const DeviceStep& step, device::Readout& readout) const {
  readout.hidden.resize(readout.hidden_rows.size() * load_plan.spec.width);
  return download_rows(step.device, hidden(step), load_plan.spec.width, readout.hidden_rows, readout.hidden);
}

namespace {

// One forward pass over the devices: one step (begin, ops, finish) per run of adjacent shards on one
// device. Whatever fails, no step is left open.
class ForwardPass {
 public:
  ForwardPass(const LoadPlan& load_plan, const Shards& shards, const device::Batch& batch, std::vector<float>& crossing)
      : load_plan_(load_plan), shards_(shards), batch_(batch), crossing_(crossing) {}

  ~ForwardPass() {
    if (at_) (void)shards_.device(*at_).finish();  // the error is told that comes first
  }
  ForwardPass(const ForwardPass&) = delete;

  // Goes on there, with the residual stream.
  Status go(uint32_t device) {
    if (at_ && *at_ == device) return {};
    if (at_) {
      crossing_.resize(size_t{batch_.rows()} * residual_width(load_plan_.spec));
      const Status fetched = device::download_floats(shards_.device(*at_), shards_.workspace(*at_).x, crossing_);
      TRY(end());
      TRY(fetched);
      TRY(device::upload_floats(shards_.device(device), crossing_, shards_.workspace(device).x));
    }
    shards_.device(device).begin(batch_);
    at_ = device;
    return {};
  }

  // Changes rows of the residual stream. An upload is no op: the step ends before it and goes on in another.
  template <class Change>
  Status change(const Change& change) {
    const uint32_t device = *at_;
    TRY(end());
    TRY(change(shards_.device(device), shards_.workspace(device).x));
    return go(device);
  }

  DeviceStep step() const {
    return {shards_.device(*at_), load_plan_.spec, shards_.weights(), shards_.workspace(*at_), batch_};
  }

  Status end() {
    const uint32_t device = *at_;
    at_.reset();
    return shards_.device(device).finish();
  }

 private:
  const LoadPlan& load_plan_;
  const Shards& shards_;
  const device::Batch& batch_;
  std::vector<float>& crossing_;
  std::optional<uint32_t> at_;
};

}  // namespace

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<const gguf::File> file, Device& device,
                                           const LoadOptions& options) {
  ASSIGN_OR_RETURN(const LoadPlan load_plan, plan_load(*file, options));
  return load(std::move(file), {&device}, placement::all_on(0, load_plan.spec.layers), options);
}

Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<const gguf::File> file, std::vector<Device*> devices,
                                           const Arrangement& arrangement, const LoadOptions& options) {
  ASSIGN_OR_RETURN(LoadPlan load_plan, plan_load(*file, options));
  TRY(check_complete(*file));
  std::vector<placement::ModelSizes> sizes;
  for (const Device* device : devices) {
    ASSIGN_OR_RETURN(sizes.emplace_back(), measure(*file, load_plan, *device));
  }
  TRY(check_fits(*file, devices, arrangement, sizes, load_plan.options));
  auto impl = std::make_unique<Impl>(std::move(file), std::move(load_plan), std::move(devices), std::move(sizes));
  TRY(promise(impl->shards.devices(), arrangement, impl->sizes, impl->load_plan.options));
  const Status loaded = impl->shards.load(arrangement);
  for (Device* device : impl->shards.devices()) (void)device->promise(0);  // what is left of it
  TRY(loaded);
  return std::unique_ptr<Model>(new Model(std::move(impl)));
}

const Spec& Model::spec() const {
  return impl_->load_plan.spec;
}
const LoadOptions& Model::options() const {
  return impl_->load_plan.options;
}
Memory Model::memory() const {
  return memory_of(arrangement(), impl_->sizes);
}
std::span<Device* const> Model::devices() const {
  return impl_->shards.devices();
}
const Arrangement& Model::arrangement() const {
  return impl_->shards.arrangement();
}
const std::vector<placement::ModelSizes>& Model::sizes() const {
  return impl_->sizes;
}

uint32_t Model::page_group() const {
  return impl_->load_plan.page_group;
}

uint32_t Model::most_candidates() const {
  const Shards& shards = impl_->shards;
  return std::min(shards.device(shards.arrangement().output).most_candidates(), spec().vocabulary);
}

Status Model::forward(const device::Batch& batch, std::span<float> logits) {
  device::Readout readout;
  readout.full_rows.resize(batch.logit_rows.size());
  std::iota(readout.full_rows.begin(), readout.full_rows.end(), 0u);
  readout.logits = logits;
  return forward(batch, readout);
}

Status Model::forward(const device::Batch& batch, device::Readout& readout) {
  TRY(impl_->check(batch));
  CHECK(readout.logits.size() == readout.full_rows.size() * spec().vocabulary);
  CHECK(readout.candidates <= most_candidates());
  Shards& shards = impl_->shards;
  const Arrangement& arrangement = shards.arrangement();
  for (const device::BatchSequence& sequence : batch.sequences) shards.mark_used(sequence.pages);
  ForwardPass pass(impl_->load_plan, shards, batch, impl_->crossing);
  Status queued;
  TRY(pass.go(arrangement.embedding));
  embed(pass.step());
  if (!batch.embedded.empty())
    TRY(pass.change([&](Device& device, float* x) {
      return put_embedded(batch.embedded, spec().scales_embedded ? spec().embedding_scale : 1, spec().width, device, x);
    }));
  begin_residual(pass.step());
  for (uint32_t i = 0; i < spec().layers; ++i) {
    TRY(pass.go(arrangement.layers[i].layer));
    attention(pass.step(), i, shards.cache(i));
    TRY(pass.go(arrangement.layers[i].experts));
    feed_forward(pass.step(), i);
    if (has_deep(batch.embedded, i))
      TRY(pass.change([&](Device& device, float* x) { return add_deep(batch.embedded, i, spec().width, device, x); }));
  }
  if (!readout.hidden_rows.empty() || !batch.logit_rows.empty()) {
    TRY(pass.go(arrangement.output));
    end_residual(pass.step());
  }
  if (!readout.hidden_rows.empty()) {
    queued = impl_->read_hidden(pass.step(), readout);
  }
  if (!batch.logit_rows.empty()) {
    models::logits(pass.step(), shards.logits());
    const Status read = impl_->read(pass.step(), readout);
    if (queued) queued = read;
  }
  TRY(pass.end());
  TRY(queued);
  return shards.check_weights();
}

Status Model::read_logits(uint32_t row, std::span<float> logits) const {
  const Shards& shards = impl_->shards;
  CHECK(row < options().logit_rows && logits.size() == spec().vocabulary);
  return device::download_floats(shards.device(arrangement().output), shards.logits() + row * logits.size(), logits);
}

Error Model::diagnose(const device::Batch& batch) const {
  return models::diagnose(impl_->load_plan, impl_->shards, batch);
}

Status Model::rearrange(const Arrangement& target) {
  return impl_->shards.rearrange(target);
}

Status Model::grow(uint32_t context, uint32_t pages, std::span<const uint64_t> room) {
  Impl& impl = *impl_;
  LoadOptions options = impl.load_plan.options;
  CHECK(context >= options.context && pages >= options.pages && room.size() == impl.sizes.size());
  options.context = context;
  options.pages = pages;
  ASSIGN_OR_RETURN(LoadPlan larger, plan_load(impl.shards.file(), options));
  if (!std::ranges::equal(larger.spec.ropes, impl.load_plan.spec.ropes, rotate_alike))
    return error(ErrorKind::kUnsupported, "the positions of {} tokens are encoded in another way than those of {}",
                 context, impl.load_plan.options.context);
  if (larger.page_group != impl.load_plan.page_group)
    return error(ErrorKind::kUnsupported, "with {} tokens states lie between more pages than with {}", context,
                 impl.load_plan.options.context);
  std::vector<placement::ModelSizes> sizes;
  for (const Device* device : impl.shards.devices()) {
    ASSIGN_OR_RETURN(sizes.emplace_back(), measure(impl.shards.file(), larger, *device));
  }
  const std::vector<uint64_t> needed = growth_bytes(arrangement(), impl.sizes, sizes, impl.shards.devices());
  for (size_t i = 0; i < needed.size(); ++i)
    if (needed[i] > room[i])
      return error(ErrorKind::kNoMemory, "the cache of {} tokens needs {} more on {}, which has {} to give", context,
                   size_text(needed[i]), impl.shards.devices()[i]->facts().name, size_text(room[i]));
  TRY(impl.shards.grow(larger, sizes));
  impl.load_plan = std::move(larger);
  impl.sizes = std::move(sizes);
  return {};
}

void Model::keep_pages(const std::vector<bool>& live) {
  impl_->shards.keep_pages(live);
}

Status Model::add_device(uint32_t index, Device& device) {
  CHECK(index <= impl_->sizes.size());
  ASSIGN_OR_RETURN(placement::ModelSizes sizes, measure(impl_->shards.file(), impl_->load_plan, device));
  impl_->sizes.insert(impl_->sizes.begin() + index, std::move(sizes));
  impl_->shards.add_device(index, device);
  return {};
}

}  // namespace hearth::models
