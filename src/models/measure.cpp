#include "models/measure.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "models/architecture.h"
#include "models/recurrent.h"
#include "models/transformer.h"

namespace hearth::models {

namespace {

using device::kPage_tokens;

constexpr uint32_t kMost_batch_rows = 1 << 16;

// Matrices as in the file, whatever a device would do with them.
class FileSizing final : public device::Sizing {
 public:
  bool reads_host_memory() const override { return true; }
  device::OperandForms operand_forms(const device::Matrix&) const override { return 0; }
  size_t operand_bytes(device::OperandForms, uint32_t) const override { return 0; }
  size_t page_bytes(const device::CacheShape&) const override { return 0; }
  Status supports(const device::CacheShape&) const override { return {}; }
  uint64_t scratch_bytes(const device::StepShape&) const override { return 0; }
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
  if (options->sequences == 0) options->sequences = options->logit_rows;
  options->sequences = std::min(options->sequences, options->batch_rows);
  return {};
}

device::StepShape largest_step(const Spec& spec, const LoadOptions& options, const device::CacheShape& cache) {
  return {.rows = options.batch_rows,
          .logit_rows = options.logit_rows,
          .sequences = options.sequences,
          .context = options.context,
          .width = spec.width,
          .vocabulary = spec.vocabulary,
          .heads = spec.heads,
          .cache = cache,
          .head_projections = spec.latent.rank != 0 ? spec.heads : spec.streams.count - 1,
          .experts = spec.experts,
          .experts_used = spec.experts_used,
          .expert_feed_forward = spec.expert_feed_forward};
}

// Something from here on reads the cache of a layer before it.
bool is_bound(const Spec& spec, uint32_t layer) {
  for (uint32_t later = layer; later < spec.layers; ++later)
    if (cache_layer_of(spec, later) < layer) return true;
  return false;
}

Status check_attention(const gguf::File& file, const Spec& spec) {
  for (uint32_t i = 0; i < spec.layers; ++i)
    if (spec.per_layer[i].mixer == Mixer::kAttention && spec.heads == 0)
      return error(ErrorKind::kInvalidData, "{}: {}.attention.head_count is 0, but layer {} has attention", file.path(),
                   spec.architecture, i);
  return {};
}

// What a page of keys and values takes about anywhere.
uint64_t neutral_bytes(const Spec& spec, device::CacheType type) {
  return device::neutral_page_bytes({type, spec.kv_heads, spec.key_dim, spec.value_dim});
}

}  // namespace

device::CacheShape cache_of(const LoadPlan& load_plan, uint32_t layer) {
  const Mixer mixer = load_plan.spec.per_layer[layer].mixer;
  if (mixer == Mixer::kAttention) {
    const HeadSizes sizes = heads_of(load_plan.spec, layer);
    device::CacheShape shape = load_plan.cache;
    shape.kv_heads = sizes.kv_heads;
    shape.key_dim = sizes.key_dim;
    shape.value_dim = sizes.value_dim;
    return shape;
  }
  return {.type = load_plan.cache.type, .state = keeps_state(mixer) ? load_plan.spec.recurrent.state() : 0};
}

uint32_t cache_count(const LoadPlan& load_plan, uint32_t layer) {
  if (cache_layer_of(load_plan.spec, layer) != layer) return 0;
  switch (load_plan.spec.per_layer[layer].mixer) {
    case Mixer::kAttention:
      return load_plan.options.pages;
    case Mixer::kNone:
      return 0;
    default:
      return load_plan.options.pages / load_plan.page_group;
  }
}

Result<LoadPlan> plan_load(const gguf::File& file, const LoadOptions& options, const gguf::QuantizationRecipe* recipe) {
  LoadPlan load_plan;
  load_plan.options = options;
  ASSIGN_OR_RETURN(load_plan.spec, read_spec(file, {.context = options.context}));
  const Spec& spec = load_plan.spec;
  TRY(check_attention(file, spec));
  TRY(fill_in(file, spec, &load_plan.options));
  const LoadOptions& filled = load_plan.options;
  load_plan.page_group = pages_of_state(spec, neutral_bytes(spec, filled.cache), filled.context);
  load_plan.options.pages = static_cast<uint32_t>(round_up(filled.pages, load_plan.page_group));
  load_plan.cache = {.type = options.cache,
                     .kv_heads = spec.kv_heads,
                     .key_dim = spec.key_dim,
                     .value_dim = spec.value_dim,
                     .values_in_keys = spec.latent.rank != 0};
  load_plan.most = largest_step(spec, load_plan.options, load_plan.cache);
  const FileSizing sizing;
  TensorReader reader(file, sizing, false);
  if (recipe != nullptr) reader.assume(*recipe);
  ASSIGN_OR_RETURN(load_plan.weights, read_weights(reader, spec));
  return load_plan;
}

Result<placement::ModelSizes> measure(const gguf::File& file, const LoadPlan& load_plan, const device::Sizing& sizing,
                                      const gguf::QuantizationRecipe* recipe) {
  const Spec& spec = load_plan.spec;
  const LoadOptions& options = load_plan.options;
  TRY(sizing.supports(load_plan.cache));
  placement::ModelSizes sizes;
  Weights ignored;
  const auto bytes_of = [&](auto&& read) -> Result<uint64_t> {
    TensorReader reader(file, sizing, options.copy_weights);
    if (recipe != nullptr) reader.assume(*recipe);
    TRY(read(reader));
    return reader.bytes() + reader.mapped_bytes();
  };
  uint64_t largest = 0, all_layers = 0;
  for (uint32_t i = 0; i < spec.layers; ++i) TRY(sizing.supports(cache_of(load_plan, i)));
  for (uint32_t i = 0; i < spec.layers; ++i) largest = std::max(largest, sizing.page_bytes(cache_of(load_plan, i)));
  if (!checked_mul(largest, options.pages, &all_layers) ||
      !checked_mul(all_layers, 2 * uint64_t{spec.layers}, &all_layers))
    return error(ErrorKind::kUsage, "{}: {} pages of cache are more than any memory holds", file.path(), options.pages);
  for (uint32_t i = 0; i < spec.layers; ++i) {
    LayerWeights layer;
    placement::LayerSizes& bytes = sizes.layers.emplace_back();
    bytes.bound = is_bound(spec, i);
    bytes.cache = sizing.page_bytes(cache_of(load_plan, i)) * cache_count(load_plan, i);
    ASSIGN_OR_RETURN(bytes.weights,
                     bytes_of([&](TensorReader& reader) { return read_layer(reader, spec, i, &layer); }));
    ASSIGN_OR_RETURN(bytes.experts,
                     bytes_of([&](TensorReader& reader) { return read_experts(reader, spec, i, &layer); }));
  }
  ASSIGN_OR_RETURN(sizes.embedding,
                   bytes_of([&](TensorReader& reader) { return read_embedding(reader, spec, &ignored); }));
  ASSIGN_OR_RETURN(sizes.output,
                   bytes_of([&](TensorReader& reader) { return read_output(reader, spec, false, &ignored); }));
  ASSIGN_OR_RETURN(const uint64_t norm_only, bytes_of([&](TensorReader& reader) {
                     return has_own_output(file) ? Status() : read_output(reader, spec, true, &ignored);
                   }));
  sizes.tied = has_own_output(file) ? 0 : sizes.output - norm_only;
  sizes.logits = uint64_t{options.logit_rows} * logits_row_bytes(spec, sizing);
  sizes.workspace = workspace_bytes(sizing, spec, load_plan.weights, options.batch_rows, options.logit_rows);
  sizes.scratch = sizing.scratch_bytes(load_plan.most);
  return sizes;
}

}  // namespace hearth::models
