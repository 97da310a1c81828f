// The figures of a server: see add_sources() and with_counts() of health.h.
#include "serve/health.h"

namespace hearth::serve {
namespace {

using Clock = std::chrono::steady_clock;

const std::vector<double> kFirst_token_s = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
const std::vector<double> kBetween_tokens_s = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1};
const std::vector<double> kAnswer_s = {0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

const char* reason_text(const api::AnswerEnd& end) {
  using Reason = api::AnswerEnd::Reason;
  switch (end.reason) {
    case Reason::kStop:
      return "stop";
    case Reason::kLength:
    case Reason::kContextFull:
      return "length";
    case Reason::kCancelled:
      return "cancelled";
    case Reason::kError:
      return "error";
  }
  return "error";
}

// Follows the events of one request.
class Count {
 public:
  Count(metrics::Registry& registry, std::string model) : registry_(registry), model_(std::move(model)) {}

  void take(const api::AnswerEvent& event) {
    if (!event.deltas.empty() && !std::exchange(begun_, true)) {
      registry_
          .histogram("hearth_first_token_seconds", "From a request to the first piece of its answer.", kFirst_token_s,
                     labels())
          .observe(seconds(Clock::now() - start_));
    }
    if (event.end) finish(*event.end);
  }

 private:
  metrics::Labels labels() const { return {{"model", model_}}; }

  void finish(const api::AnswerEnd& end) {
    // What a client made up is no name to keep figures by.
    const bool known = !end.error || end.error->kind != ErrorKind::kNotFound;
    const std::string model = known ? model_ : "";
    registry_
        .counter("hearth_answers_total", "Answers by how they ended.", {{"model", model}, {"reason", reason_text(end)}})
        .add();
    if (end.error) return;
    const api::Usage& usage = end.usage;
    const auto count = [&](const char* kind, uint32_t tokens) {
      registry_.counter("hearth_tokens_total", "Tokens of answers that ended.", {{"model", model}, {"kind", kind}})
          .add(tokens);
    };
    count("prompt", usage.prompt_tokens - std::min(usage.prompt_tokens, usage.cached_tokens));
    count("cached", usage.cached_tokens);
    count("generated", usage.generated_tokens);
    registry_.histogram("hearth_answer_seconds", "From a request to the end of its answer.", kAnswer_s, labels())
        .observe(seconds(usage.total));
    if (usage.generated_tokens > 1) {
      registry_
          .histogram("hearth_token_seconds", "Between two tokens of an answer, on its average.", kBetween_tokens_s,
                     labels())
          .observe(seconds(usage.generation) / (usage.generated_tokens - 1));
    }
  }

  metrics::Registry& registry_;
  const std::string model_;
  const Clock::time_point start_ = Clock::now();
  bool begun_ = false;
};

void add_model(metrics::Page& page, const fleet::RunningModel& model) {
  const std::string& name = model.found.name;
  uint64_t on_gpu = 0, on_host = 0;
  for (const auto& device : model.devices.devices) (device.gpu ? on_gpu : on_host) += device.memory.total();
  const char* const bytes = "Memory that a loaded model takes.";
  page.gauge("hearth_model_bytes", bytes, static_cast<double>(on_gpu), {{"model", name}, {"place", "gpu"}});
  page.gauge("hearth_model_bytes", bytes, static_cast<double>(on_host), {{"model", name}, {"place", "host"}});
  const auto gpu_layers = model.devices.layers_on_gpu();
  const auto host_layers = static_cast<uint32_t>(model.devices.layers.size()) - gpu_layers;
  const char* const layers = "Layers of a loaded model.";
  page.gauge("hearth_model_layers", layers, gpu_layers, {{"model", name}, {"place", "gpu"}});
  page.gauge("hearth_model_layers", layers, host_layers, {{"model", name}, {"place", "host"}});
  if (const Cause& cause = model.devices.cause; !cause.empty())
    page.gauge("hearth_model_not_on_gpu", "1: layers of a loaded model are not on a GPU, for this cause.", 1,
               {{"model", name}, {"cause", cause.id}});
  const engine::Stats& stats = model.stats;
  page.gauge("hearth_model_running", "Answers that a model gives now.", stats.running, {{"model", name}});
  page.gauge("hearth_model_waiting", "Requests that wait for a place in a model.", stats.waiting, {{"model", name}});
  page.gauge("hearth_model_pages", "Pages of the cache.", stats.pages_total, {{"model", name}, {"state", "all"}});
  page.gauge("hearth_model_pages", "Pages of the cache.", stats.pages_free, {{"model", name}, {"state", "free"}});
  page.counter("hearth_model_steps_total", "Steps of a loaded model.", static_cast<double>(stats.steps),
               {{"model", name}});
  page.counter("hearth_model_preemptions_total", "Answers that were put back for lack of pages.",
               static_cast<double>(stats.preemptions), {{"model", name}});
  page.counter("hearth_devices_lost_total", "Devices that a loaded model has lost.",
               static_cast<double>(stats.devices_lost), {{"model", name}});
}

void add_leases(metrics::Page& page, const std::vector<fleet::GpuLease>& leases) {
  std::map<std::string, double> bytes;
  for (const fleet::GpuLease& lease : leases) bytes[lease.card_name] += static_cast<double>(lease.bytes);
  for (const auto& [gpu, sum] : bytes)
    page.gauge("hearth_leased_bytes", "Memory of a GPU that other programs were promised.", sum, {{"gpu", gpu}});
}

void add_counts(metrics::Page& page, const fleet::FleetCounts& counts) {
  const auto add = [&](const char* name, const char* help, const std::map<std::string, uint64_t>& by_model) {
    for (const auto& [model, count] : by_model)
      page.counter(name, help, static_cast<double>(count), {{"model", model}});
  };
  add("hearth_model_loads_total", "Loads of a model.", counts.loads);
  add("hearth_model_let_go_total", "How often a model was let go for another that needed its room.", counts.let_go);
  add("hearth_model_loads_avoided_total",
      "Requests that a loaded model answered while another waited for its place, by slices of time.", counts.avoided);
}

}  // namespace

void add_sources(metrics::Registry& registry, const fleet::Fleet& models, const Health& health) {
  registry.add_source([&models, &health](metrics::Page& page) {
    page.gauge("hearth_info", "The version.", 1, {{"version", HEARTH_VERSION}});
    for (const fleet::RunningModel& model : models.running()) add_model(page, model);
    add_counts(page, models.counts());
    add_leases(page, models.leases());
    bool ready = true;
    std::map<std::string, int> counts;
    for (const Finding& finding : health.findings()) {
      ready = ready && !finding.unready;
      ++counts[finding.id];
    }
    page.gauge("hearth_ready", "1 if requests can be answered.", ready ? 1 : 0);
    for (const auto& [id, count] : counts)
      page.gauge("hearth_findings", "What is not as it should be; see /health.", count, {{"id", id}});
  });
}

void add_metrics_route(api::Router& router, const metrics::Registry& registry) {
  router.add({.method = "GET",
              .path = "/metrics",
              .run =
                  [&registry](const api::Call& call) {
                    call.exchange->send(
                        {{.status = 200, .headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}},
                         registry.page()});
                  },
              .role = api::Role::kInfer});
}

std::shared_ptr<const api::Service> with_counts(std::shared_ptr<const api::Service> service,
                                                metrics::Registry& registry) {
  auto result = std::make_shared<api::Service>(*service);
  if (!service->answer) return result;
  result->answer = [service, &registry](api::AnswerRequest request, api::AnswerSink sink) {
    const auto count = std::make_shared<Count>(registry, request.model);
    return service->answer(std::move(request), [count, sink = std::move(sink)](const api::AnswerEvent& event) {
      count->take(event);
      sink(event);
    });
  };
  return result;
}

}  // namespace hearth::serve
