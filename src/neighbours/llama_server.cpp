// llama.cpp's server as a router of several models; with one model it has no way to let go of it.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const json::value value, api.ask_json("GET", "/models"));
  Found found;
  for (const json::value& model : member_list(value, "data")) {
    const json::value* status = model.is_object() ? model.get_object().if_contains("status") : nullptr;
    if (status != nullptr && member_text(*status, "value") == "loaded")
      found.models.push_back(member_text(model, "id"));
  }
  found.activity = found.models.empty() ? Activity::kNothing : Activity::kIdle;
  return found;
}

Status let_go(const Api& api, const Found& found, uint64_t) {
  return tell_of_each(api, "/models/unload", "model", found.models);
}

const Kind kKind = {"llama-server", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
