// SGLang with --enable-memory-saver: its queue must be empty (docs, "native API").
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

constexpr const char* kParts = R"({"tags":["kv_cache","weights"]})";

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const std::string page, api.ask("GET", "/metrics"));
  const auto running = series_sum(page, "sglang:num_running_reqs");
  const auto waiting = series_sum(page, "sglang:num_queue_reqs");
  if (!running) return Found{Activity::kUnknown, {}};
  return Found{*running + waiting.value_or(0) > 0 ? Activity::kBusy : Activity::kIdle, {}};
}

Status let_go(const Api& api, const Found&, uint64_t) {
  return api.tell("POST", "/release_memory_occupation", kParts);
}

Status take_back(const Api& api) {
  return api.tell("POST", "/resume_memory_occupation", kParts);
}

const Kind kKind = {"sglang", find, let_go, take_back};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
