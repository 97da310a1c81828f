#include "serve/counting.h"

#include <algorithm>

#include "fleet/find_model.h"

namespace hearth::serve {
namespace {

using Clock = std::chrono::steady_clock;

// With the bounds that people set themselves: 5, 10, 15 and 30 seconds.
const std::vector<double> kFirst_token_s = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60};
const std::vector<double> kBetween_tokens_s = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1};
const std::vector<double> kAnswer_s = {0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300};
const std::vector<double> kQueue_s = {0.001, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300};
const std::vector<double> kLoad_s = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300};

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
      return end.error && end.error->kind == ErrorKind::kCancelled ? "cancelled" : "error";
  }
  return "error";
}

// Follows the events of one request.
class Count {
 public:
  Count(metrics::Registry& registry, const api::AnswerRequest& request)
      : registry_(registry), asked_(request.model), key_(request.caller.key) {
    if (!key_.empty())
      registry_.counter("hearth_key_requests_total", "Requests for answers by key.", {{"key", key_}}).add();
  }

  void take(const api::AnswerEvent& event) {
    if (event.begin && !event.begin->model.empty()) model_ = event.begin->model;
    if (!event.deltas.empty() && !std::exchange(begun_, true))
      observe("hearth_first_token_seconds", "From a request to the first piece of its answer.", kFirst_token_s,
              seconds(Clock::now() - start_));
    if (event.end) finish(*event.end);
  }

 private:
  void observe(const char* name, const char* help, const std::vector<double>& bounds, double value) {
    registry_.histogram(name, help, bounds, {{"model", model_}}).observe(value);
  }
  void add(const char* name, const char* help, metrics::Labels labels, uint64_t count) {
    registry_.counter(name, help, labels).add(static_cast<double>(count));
  }

  // What a client made up is no name to keep figures by.
  void find_name() {
    if (!model_.empty()) return;
    if (const auto found = fleet::find_named_model(asked_)) model_ = found->name;
  }

  void finish(const api::AnswerEnd& end) {
    find_name();
    add("hearth_answers_total", "Answers by how they ended.", {{"model", model_}, {"reason", reason_text(end)}}, 1);
    if (end.error) return;
    const api::Usage& usage = end.usage;
    const uint32_t computed = usage.prompt_tokens - std::min(usage.prompt_tokens, usage.cached_tokens);
    count_tokens("prompt", computed);
    count_tokens("cached", usage.cached_tokens);
    count_tokens("generated", usage.generated_tokens);
    observe("hearth_answer_seconds", "From a request to the end of its answer.", kAnswer_s, seconds(usage.total));
    observe("hearth_queue_seconds", "From the loaded model to a request's first step.", kQueue_s,
            seconds(usage.queued));
    if (usage.generated_tokens > 1)
      observe("hearth_token_seconds", "Between two tokens of an answer, on its average.", kBetween_tokens_s,
              seconds(usage.generation) / (usage.generated_tokens - 1));
  }

  void count_tokens(const char* kind, uint32_t tokens) {
    add("hearth_tokens_total", "Tokens of answers that ended.", {{"model", model_}, {"kind", kind}}, tokens);
    if (!key_.empty())
      add("hearth_key_tokens_total", "Tokens of answers that ended, by key.", {{"key", key_}, {"kind", kind}}, tokens);
  }

  metrics::Registry& registry_;
  const std::string asked_, key_;
  std::string model_;  // by its own name, once that is known
  const Clock::time_point start_ = Clock::now();
  bool begun_ = false;
};

}  // namespace

std::shared_ptr<const api::Service> with_counts(std::shared_ptr<const api::Service> service,
                                                metrics::Registry& registry) {
  auto result = std::make_shared<api::Service>(*service);
  if (!service->answer) return result;
  result->answer = [service, &registry](api::AnswerRequest request, api::AnswerSink sink) {
    const auto count = std::make_shared<Count>(registry, request);
    return service->answer(std::move(request), [count, sink = std::move(sink)](const api::AnswerEvent& event) {
      count->take(event);
      sink(event);
    });
  };
  return result;
}

void count_loads(fleet::FleetOptions& options, metrics::Registry& registry) {
  options.loaded = [&registry](const std::string& model, const char* why, std::chrono::nanoseconds took) {
    registry
        .counter("hearth_model_loads_total",
                 "Loads by what they were for: request, again (in another way: another cache, say), failed (it did).",
                 {{"model", model}, {"why", why}})
        .add();
    registry.histogram("hearth_model_load_seconds", "What loads took.", kLoad_s, {{"model", model}})
        .observe(seconds(took));
  };
  options.let_go = [&registry](const std::string& model, const char* why) {
    registry
        .counter("hearth_model_unloads_total",
                 "Models let go: idle, asked, replaced, room (another needed its place), gpu (another needed the GPU), "
                 "yield (another "
                 "program did).",
                 {{"model", model}, {"why", why}})
        .add();
  };
}

void add_fleet_source(metrics::Registry& registry, const fleet::Fleet& models) {
  registry.add_source([&models](metrics::Page& page) {
    for (const auto& [model, count] : models.loads_avoided())
      page.counter("hearth_model_loads_avoided_total",
                   "Requests that a loaded model answered while another waited for its place, by slices of time.",
                   static_cast<double>(count), {{"model", model}});
    std::map<std::string, double> bytes;
    for (const fleet::GpuLease& lease : models.leases()) bytes[lease.card_name] += static_cast<double>(lease.bytes);
    for (const auto& [gpu, sum] : bytes)
      page.gauge("hearth_leased_bytes", "Memory of a GPU that other programs were promised.", sum, {{"gpu", gpu}});
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

}  // namespace hearth::serve
