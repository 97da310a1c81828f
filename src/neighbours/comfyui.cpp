// ComfyUI: what it answers sets a flag for its worker only, and both members count as false where they are absent.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const json::value queue, api.ask_json("GET", "/queue"));
  const bool busy = !member_list(queue, "queue_running").empty() || !member_list(queue, "queue_pending").empty();
  return Found{busy ? Activity::kBusy : Activity::kIdle, {}};
}

Status let_go(const Api& api, const Found&, uint64_t) {
  return api.tell("POST", "/free", R"({"unload_models":true,"free_memory":true})");
}

const Kind kKind = {"comfyui", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
