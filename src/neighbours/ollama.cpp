// Ollama (docs/api.md): answers wait for a model that unloads, so that one at work ends first. It does not tell whether
// it is at work.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const json::value value, api.ask_json("GET", "/api/ps"));
  Found found;
  for (const json::value& model : member_list(value, "models")) found.models.push_back(member_text(model, "name"));
  found.activity = found.models.empty() ? Activity::kNothing : Activity::kIdle;
  return found;
}

Status let_go(const Api& api, const Found& found, uint64_t) {
  for (const std::string& model : found.models)
    TRY(api.tell("POST", "/api/generate", json::serialize(json::object{{"model", model}, {"keep_alive", 0}})));
  return {};
}

const Kind kKind = {"ollama", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
