#include "models/model.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "models/architecture.h"
#include "models/transformer.h"
#include "models/weights.h"

namespace hearth::models {

namespace {

using device::Device;
using device::kPage_tokens;

constexpr uint32_t kMost_batch_rows = 1 << 16;

// All that is decided before anything is allocated.
struct Plan {
  Spec spec;
  LoadOptions options;  // zeros filled in
  device::CacheShape cache;
  uint64_t page_bytes = 0, vector_bytes = 0;
  Memory memory;
};

Status fill_in(const gguf::File& file, const Spec& spec, LoadOptions* options) {
  if (options->context > spec.context)
    return error(ErrorKind::kUsage, "{}: a context of {} tokens was asked for, but the model has at most {}",
                 file.path(), options->context, spec.context);
  if (options->context == 0) options->context = spec.context;
  if (options->pages == 0) options->pages = static_cast<uint32_t>(divide_up(options->context, kPage_tokens));
  if (options->batch_rows == 0 || options->batch_rows > kMost_batch_rows || options->logit_rows == 0)
    return error(ErrorKind::kUsage, "{}: batches of {} rows and {} rows of logits were asked for; 1 to {} are possible",
                 file.path(), options->batch_rows, options->logit_rows, kMost_batch_rows);
  options->logit_rows = std::min(options->logit_rows, options->batch_rows);
  return {};
}

Result<Plan> make_plan(const gguf::File& file, const Device& device, const LoadOptions& options) {
  ASSIGN_OR_RETURN(const Architecture* architecture, find_architecture(file));
  Plan plan;
  plan.options = options;
  ASSIGN_OR_RETURN(plan.spec, architecture->read(file, {.context = options.context}));
  const Spec& spec = plan.spec;
  TRY(fill_in(file, spec, &plan.options));

  plan.cache = {options.cache, spec.kv_heads, spec.key_dim, spec.value_dim};
  TRY(device.supports(plan.cache));
  plan.page_bytes = device.page_bytes(plan.cache);

  TensorReader reader(file);
  ASSIGN_OR_RETURN(const Weights weights, read_weights(reader, spec));
  plan.vector_bytes = reader.vector_bytes();
  plan.memory.weights = reader.matrix_bytes() + reader.vector_bytes();
  plan.memory.workspace = workspace_bytes(device, spec, weights, plan.options.batch_rows, plan.options.logit_rows);
  if (!checked_mul(plan.page_bytes, uint64_t{plan.options.pages} * spec.layers, &plan.memory.cache))
    return error(ErrorKind::kUsage, "{}: {} pages of cache are more than any memory holds", file.path(),
                 plan.options.pages);
  return plan;
}

std::string size_text(uint64_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / static_cast<double>(1 << 30));
}

Status check_fits(const gguf::File& file, const Device& device, const Plan& plan) {
  const device::Facts facts = device.facts();
  const Memory& memory = plan.memory;
  const uint64_t free = device.free_bytes();
  if (memory.weights <= free && memory.cache <= free && memory.total() <= free) return {};
  return error(ErrorKind::kNoMemory,
               "{}: {} needed (weights {}, cache {} for {} pages of {} tokens, workspace {}), but {} has {} available; "
               "choose a smaller context, a smaller cache type or a smaller quantisation",
               file.path(), size_text(memory.total()), size_text(memory.weights), size_text(memory.cache),
               plan.options.pages, kPage_tokens, size_text(memory.workspace), facts.name, size_text(free));
}

}  // namespace

Result<Memory> estimate_memory(const gguf::File& file, const Device& device, const LoadOptions& options) {
  ASSIGN_OR_RETURN(const Plan plan, make_plan(file, device, options));
  return plan.memory;
}

struct Model::Impl {
  std::shared_ptr<const gguf::File> file;
  Device& device;
  Plan plan;
  Weights weights;
  device::Buffer vectors, cache, workspace_buffer;
  std::vector<device::CacheLayer> cache_layers;
  Workspace workspace;

  Status allocate();
  Status check(const device::Batch& batch) const;
};

Status Model::Impl::allocate() {
  const Spec& spec = plan.spec;
  const LoadOptions& options = plan.options;
  ASSIGN_OR_RETURN(vectors, device.alloc(plan.vector_bytes));
  TensorReader reader(*file, device, vectors.data());
  ASSIGN_OR_RETURN(weights, read_weights(reader, spec));

  ASSIGN_OR_RETURN(cache, device.alloc(plan.memory.cache));
  const uint64_t layer_bytes = plan.page_bytes * options.pages;
  for (uint32_t i = 0; i < spec.layers; ++i)
    cache_layers.push_back({plan.cache, cache.data() + i * layer_bytes, plan.page_bytes});

  ASSIGN_OR_RETURN(workspace_buffer, device.alloc(plan.memory.workspace));
  workspace = lay_out(workspace_buffer.data(), device, spec, weights, options.batch_rows, options.logit_rows);
  device::StepShape most;
  most.rows = options.batch_rows;
  return device.reserve(most);
}

// Token numbers come from users; the rest of a batch is the engine's own work.
Status Model::Impl::check(const device::Batch& batch) const {
  CHECK(batch.rows() > 0 && batch.rows() <= plan.options.batch_rows);
  CHECK(batch.logit_rows.size() <= plan.options.logit_rows);
  for (const device::BatchSequence& sequence : batch.sequences) {
    const uint64_t end = uint64_t{sequence.first_position} + sequence.rows;
    CHECK(end <= sequence.pages.size() * kPage_tokens);
    if (end > plan.spec.context)
      return error(ErrorKind::kUsage, "position {} lies beyond the model's context of {} tokens", end - 1,
                   plan.spec.context);
  }
  for (const int32_t token : batch.tokens)
    if (token < 0 || static_cast<uint32_t>(token) >= plan.spec.vocabulary)
      return error(ErrorKind::kUsage, "token {} is not in the vocabulary of {} tokens", token, plan.spec.vocabulary);
  return {};
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<const gguf::File> file, Device& device,
                                           const LoadOptions& options) {
  ASSIGN_OR_RETURN(Plan plan, make_plan(*file, device, options));
  TRY(check_fits(*file, device, plan));
  auto impl = std::unique_ptr<Impl>(new Impl{std::move(file), device, std::move(plan), {}, {}, {}, {}, {}, {}});
  TRY(impl->allocate());
  return std::unique_ptr<Model>(new Model(std::move(impl)));
}

const Spec& Model::spec() const {
  return impl_->plan.spec;
}
const LoadOptions& Model::options() const {
  return impl_->plan.options;
}
const Memory& Model::memory() const {
  return impl_->plan.memory;
}
Device& Model::device() const {
  return impl_->device;
}

Status Model::forward(const device::Batch& batch, std::span<float> logits) {
  TRY(impl_->check(batch));
  CHECK(logits.size() == batch.logit_rows.size() * spec().vocabulary);
  Device& device = impl_->device;
  device.begin(batch);
  run({device, spec(), impl_->weights, impl_->cache_layers, impl_->workspace, batch});
  if (!logits.empty()) TRY(device::download_floats(device, impl_->workspace.logits, logits));
  return device.finish();
}

}  // namespace hearth::models
