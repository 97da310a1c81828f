// llama-swap: all its models at once.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const json::value value, api.ask_json("GET", "/running"));
  Found found;
  for (const json::value& model : member_list(value, "running")) found.models.push_back(member_text(model, "model"));
  found.activity = found.models.empty() ? Activity::kNothing : Activity::kIdle;
  return found;
}

Status let_go(const Api& api, const Found&, uint64_t) {
  return api.tell("GET", "/unload");
}

const Kind kKind = {"llama-swap", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
