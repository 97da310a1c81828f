// LM Studio: may end an answer under way, and does not tell whether there is one.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const json::value value, api.ask_json("GET", "/api/v1/models"));
  Found found;
  for (const json::value& model : member_list(value, "models"))
    for (const json::value& instance : member_list(model, "loaded_instances"))
      found.models.push_back(member_text(instance, "id"));
  found.activity = found.models.empty() ? Activity::kNothing : Activity::kUnknown;
  return found;
}

Status let_go(const Api& api, const Found& found, uint64_t) {
  return tell_of_each(api, "/api/v1/models/unload", "instance_id", found.models);
}

const Kind kKind = {"lmstudio", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
