// LocalAI: needs its admin key where it has keys.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

constexpr int64_t kBusy_state = 1;  // of a backend; 2 is ready

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(const json::value system, api.ask_json("GET", "/system"));
  Found found{Activity::kNothing, {}};
  for (const json::value& model : member_list(system, "loaded_models")) {
    found.models.push_back(member_text(model, "id"));
    if (found.activity == Activity::kNothing) found.activity = Activity::kIdle;
    const auto state = api.ask_json("GET", "/backend/monitor?model=" + found.models.back());
    const json::value* number = state && state->is_object() ? state->get_object().if_contains("state") : nullptr;
    if (number == nullptr || !number->is_number())
      found.activity = Activity::kUnknown;
    else if (number->to_number<int64_t>() == kBusy_state)
      return Found{Activity::kBusy, std::move(found.models)};
  }
  return found;
}

Status let_go(const Api& api, const Found& found, uint64_t) {
  return tell_of_each(api, "/backend/shutdown", "model", found.models);
}

const Kind kKind = {"localai", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
