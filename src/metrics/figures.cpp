#include "metrics/figures.h"

#include <array>

namespace hearth::metrics {
namespace {

// Of one thing: what most figures of it have in common.
class Rows {
 public:
  Rows(Page& page, Labels labels) : page_(page), labels_(std::move(labels)) {}

  void gauge(const char* name, const char* help, double value, Labels more = {}) {
    page_.gauge(name, help, value, with(std::move(more)));
  }
  void gauge(const char* name, const char* help, const std::optional<double>& value, Labels more = {}) {
    if (value) gauge(name, help, *value, std::move(more));
  }
  void gauge(const char* name, const char* help, const std::optional<uint64_t>& value, Labels more = {}) {
    if (value) gauge(name, help, static_cast<double>(*value), std::move(more));
  }
  void gauge(const char* name, const char* help, uint64_t value, Labels more = {}) {
    gauge(name, help, static_cast<double>(value), std::move(more));
  }
  void counter(const char* name, const char* help, double value, Labels more = {}) {
    page_.counter(name, help, value, with(std::move(more)));
  }
  void counter(const char* name, const char* help, uint64_t value, Labels more = {}) {
    counter(name, help, static_cast<double>(value), std::move(more));
  }

 private:
  Labels with(Labels more) const {
    Labels all = labels_;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Page& page_;
  const Labels labels_;
};

void add_memory(Rows& rows, const GpuFigures& gpu) {
  constexpr const char* kHelp =
      "Memory of a GPU by part: weights, cache and workspace of each model, context: the driver's own for this "
      "process, process: all that other processes hold.";
  uint64_t others = 0;
  for (const GpuPart& part : gpu.parts) {
    if (part.kind == "process")
      others += part.bytes;  // by their names there would be any number of series
    else
      rows.gauge("hearth_gpu_memory_bytes", kHelp, part.bytes, {{"part", part.kind}, {"model", part.owner}});
  }
  rows.gauge("hearth_gpu_memory_bytes", kHelp, others, {{"part", "process"}, {"model", ""}});
  rows.gauge("hearth_gpu_memory_total_bytes", "Memory that a GPU has.", gpu.total_bytes);
  rows.gauge("hearth_gpu_memory_free_bytes", "Memory of a GPU that nobody has.", gpu.free_bytes);
}

void add_gpu(Page& page, const GpuFigures& gpu) {
  const std::string number = std::to_string(gpu.ordinal);
  Rows rows(page, {{"gpu", number}});
  rows.gauge("hearth_gpu_info", "A GPU that hearth sees.", 1.0, {{"name", gpu.name}, {"uuid", gpu.id}});
  add_memory(rows, gpu);
  rows.counter("hearth_gpu_busy_seconds_total",
               "Time in which a GPU computed for hearth, measured by events around each step.", gpu.busy_seconds);
  rows.gauge("hearth_gpu_nvml_utilization_ratio",
             "NVML's average: the part of a sample period in which any kernel of any process ran.",
             gpu.utilization_ratio);
  constexpr const char* kClock = "Clock of a GPU.";
  constexpr const char* kMost_clock = "The highest clock of a GPU.";
  rows.gauge("hearth_gpu_clock_hertz", kClock, gpu.sm_hertz, {{"clock", "sm"}});
  rows.gauge("hearth_gpu_clock_hertz", kClock, gpu.memory_hertz, {{"clock", "memory"}});
  rows.gauge("hearth_gpu_clock_max_hertz", kMost_clock, gpu.sm_max_hertz, {{"clock", "sm"}});
  rows.gauge("hearth_gpu_clock_max_hertz", kMost_clock, gpu.memory_max_hertz, {{"clock", "memory"}});
  rows.gauge("hearth_gpu_power_watts", "Power that a GPU draws.", gpu.power_watts);
  rows.gauge("hearth_gpu_power_limit_watts", "Power that a GPU may draw.", gpu.power_limit_watts);
  rows.gauge("hearth_gpu_temperature_celsius", "Temperature of a GPU.", gpu.temperature_celsius);
  rows.gauge("hearth_gpu_throttled", "1: the clocks of a GPU are held down, by heat, power or a setting.",
             gpu.throttled.empty() ? 0.0 : 1.0);
  rows.gauge("hearth_gpu_pcie_generation", "PCIe generation of a GPU's link now; it falls where nothing is copied.",
             gpu.pcie_generation);
  rows.gauge("hearth_gpu_pcie_lanes", "PCIe lanes of a GPU's link now.", gpu.pcie_lanes);
  rows.gauge("hearth_gpu_pcie_generation_max", "PCIe generation that a GPU's link can have.", gpu.pcie_generation_max);
  rows.gauge("hearth_gpu_pcie_lanes_max", "PCIe lanes that a GPU's link can have.", gpu.pcie_lanes_max);
}

void add_model(Page& page, const ModelFigures& model) {
  Rows rows(page, {{"model", model.name}});
  constexpr const char* kBytes = "Memory that a loaded model takes.";
  rows.gauge("hearth_model_bytes", kBytes, model.gpu_bytes, {{"place", "gpu"}});
  rows.gauge("hearth_model_bytes", kBytes, model.host_bytes, {{"place", "host"}});
  constexpr const char* kLayers = "Layers of a loaded model.";
  rows.gauge("hearth_model_layers", kLayers, model.layers_on_gpu, {{"place", "gpu"}});
  rows.gauge("hearth_model_layers", kLayers, model.layers - model.layers_on_gpu, {{"place", "host"}});
  for (const ModelPlace& place : model.places) {
    if (place.gpu_id.empty() || place.promised_bytes == 0) continue;
    rows.gauge("hearth_model_promised_bytes", "GPU memory that the plan of a load promised.", place.promised_bytes,
               {{"uuid", place.gpu_id}});
    rows.gauge("hearth_model_taken_bytes", "GPU memory that the load took.", place.taken_bytes,
               {{"uuid", place.gpu_id}});
  }
  if (!model.cause_id.empty())
    rows.gauge("hearth_model_not_on_gpu", "1: layers of a loaded model are not on a GPU, for this cause.", 1.0,
               {{"cause", model.cause_id}});
  rows.gauge("hearth_model_context_tokens", "Context of an answer of a loaded model.", model.context_tokens);
  rows.gauge("hearth_model_running", "Answers that a model gives now.", model.running);
  rows.gauge("hearth_model_waiting", "Requests that wait for a place in a model.", model.waiting);
  rows.gauge("hearth_model_pages", "Pages of the cache.", model.pages, {{"state", "all"}});
  rows.gauge("hearth_model_pages", "Pages of the cache.", model.pages_free, {{"state", "free"}});
  rows.counter("hearth_model_steps_total", "Steps of a loaded model.", model.steps);
  constexpr const char* kTokens = "Tokens that a loaded model has computed, or found in the cache.";
  rows.counter("hearth_model_tokens_total", kTokens, model.tokens_prefilled, {{"kind", "prompt"}});
  rows.counter("hearth_model_tokens_total", kTokens, model.tokens_cached, {{"kind", "cached"}});
  rows.counter("hearth_model_tokens_total", kTokens, model.tokens_generated, {{"kind", "generated"}});
  rows.counter("hearth_model_computing_seconds_total", "Time that a loaded model was in its steps.",
               model.computing_seconds);
  rows.counter("hearth_model_weights_read_bytes_total",
               "Weights that the steps of a loaded model have read, as one token each needs them.", model.read_bytes);
  if (model.limit_bytes_per_second > 0)
    rows.gauge("hearth_model_read_limit_bytes_per_second", "At which the memory that a model lies in can be read.",
               model.limit_bytes_per_second);
  rows.counter("hearth_model_preemptions_total", "Answers that were put back for lack of pages.", model.preemptions);
  rows.counter("hearth_model_moves_total", "How often layers of a loaded model have moved.", model.changes);
  rows.counter("hearth_devices_lost_total", "Devices that a loaded model has lost.", model.devices_lost);
}

void add_store(Page& page, const StoreFigures& store) {
  Rows rows(page, {{"store", store.name}});
  rows.gauge("hearth_store_total_bytes", "Size of the file system that a store is on.", store.total_bytes);
  rows.gauge("hearth_store_free_bytes", "Free on the file system that a store is on.", store.free_bytes);
  rows.gauge("hearth_store_keep_free_bytes", "Of that, what is kept free.", store.keep_free_bytes);
  rows.gauge("hearth_store_promised_bytes", "Promised to writers there, and not yet written.", store.promised_bytes);
  rows.gauge("hearth_store_usable_bytes", "Free, without what is promised and what is kept free.", store.usable_bytes);
  rows.gauge("hearth_store_partial_bytes", "Taken by downloads that were begun.", store.partial_bytes);
  for (const std::string& id : store.findings)
    rows.gauge("hearth_store_finding", "1: this is wrong with a store's disk, see docs/store.md.", 1.0, {{"id", id}});
  constexpr std::array<const char*, 4> kLevels = {"green", "yellow", "orange", "red"};
  const auto level = std::find(kLevels.begin(), kLevels.end(), store.level) - kLevels.begin();
  rows.gauge("hearth_store_level", "0 green, 1 yellow, 2 orange, 3 red.", static_cast<double>(level));
}

// What the Gateway API Inference Extension picks servers by, under the names of vLLM's that it knows: one series each,
// of the whole server (its proposal 003; https://gateway-api-inference-extension.sigs.k8s.io).
void add_as_vllm(Page& page, const Figures& figures) {
  uint64_t pages = 0, free = 0;
  for (const ModelFigures& model : figures.models) {
    pages += model.pages;
    free += model.pages_free;
  }
  const double usage = pages == 0 ? 0 : static_cast<double>(pages - free) / static_cast<double>(pages);
  page.gauge("vllm:num_requests_running", "hearth_requests_running.", static_cast<double>(figures.running));
  page.gauge("vllm:num_requests_waiting", "hearth_requests_waiting.", static_cast<double>(figures.waiting));
  constexpr const char* kUsage = "Part of the cache's pages that is in use, 0 to 1, of all models.";
  page.gauge("vllm:kv_cache_usage_perc", kUsage, usage);
  page.gauge("vllm:gpu_cache_usage_perc", kUsage, usage);
}

}  // namespace

void add_to(Page& page, const Figures& figures) {
  page.gauge("hearth_info", "The version.", 1, {{"version", figures.version}});
  page.gauge("hearth_start_time_seconds", "When the server started, in seconds since 1970.", figures.started);
  page.gauge("hearth_ready", "1 if requests can be answered.", figures.ready ? 1 : 0);
  page.gauge("hearth_requests_running", "Answers that are given now.", static_cast<double>(figures.running));
  page.gauge("hearth_requests_waiting", "Requests that wait for their model, or for a place in it.",
             static_cast<double>(figures.waiting));
  page.gauge("hearth_models_loading", "Models that are being loaded, or wait for it.",
             static_cast<double>(figures.loading.size()));
  add_as_vllm(page, figures);
  std::map<std::string, int> findings;
  for (const FindingFigures& finding : figures.findings) ++findings[finding.id];
  for (const auto& [id, count] : findings)
    page.gauge("hearth_findings", "What is not as it should be; see /health.", count, {{"id", id}});
  for (const GpuFigures& gpu : figures.gpus) add_gpu(page, gpu);
  for (const ModelFigures& model : figures.models) add_model(page, model);
  for (const StoreFigures& store : figures.stores) add_store(page, store);
  for (const TransferFigures& transfer : figures.transfers) {
    Rows rows(page, {{"kind", transfer.kind}, {"model", transfer.model}});
    constexpr const char* kHelp = "A pull or push that runs, of the file that it is at.";
    rows.gauge("hearth_transfer_bytes", kHelp, transfer.done_bytes, {{"state", "done"}});
    rows.gauge("hearth_transfer_bytes", kHelp, transfer.total_bytes, {{"state", "all"}});
  }
}

}  // namespace hearth::metrics
