// vLLM with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1 (docs/features/sleep_mode.md). Its default mode would end
// answers under way; "wait" lets them come to their end.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const json::value sleeping, api.ask_json("GET", "/is_sleeping"));
  const json::value* asleep = sleeping.is_object() ? sleeping.get_object().if_contains("is_sleeping") : nullptr;
  if (asleep != nullptr && asleep->is_bool() && asleep->get_bool()) return Found{Activity::kNothing, {}};
  ASSIGN_OR_RETURN(const std::string page, api.ask("GET", "/metrics"));
  const auto running = series_sum(page, "vllm:num_requests_running");
  if (!running) return Found{Activity::kUnknown, {}};
  return Found{*running > 0 ? Activity::kBusy : Activity::kIdle, {}};
}

Status let_go(const Api& api, const Found&, uint64_t) {
  return api.tell("POST", "/sleep?level=1&mode=wait");
}

Status take_back(const Api& api) {
  return api.tell("POST", "/wake_up");
}

const Kind kKind = {"vllm", find, let_go, take_back};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
