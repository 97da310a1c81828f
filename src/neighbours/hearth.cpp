// Another hearth, of another user or in another container (docs/sharing.md): it leaves what it gives alone for a while
// and asks nobody for it, so that two that ask each other come to rest.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

Result<Found> find(const Api& api) {
  ASSIGN_OR_RETURN(Found found, find_listed(api, "/api/ps", "models", "name"));
  if (found.activity == Activity::kNothing) return found;
  ASSIGN_OR_RETURN(const std::string page, api.ask("GET", "/metrics"));
  const double at_work =
      series_sum(page, "hearth_model_running").value_or(0) + series_sum(page, "hearth_model_waiting").value_or(0);
  if (at_work > 0) found.activity = Activity::kBusy;
  return found;
}

Status let_go(const Api& api, const Found&, uint64_t bytes) {
  return api.tell("POST", "/api/yield",
                  json::serialize(json::object{
                      {"bytes", bytes}, {"for", "10m"}, {"deadline_ms", 10'000}, {"holder", "another hearth"}}));
}

const Kind kKind = {"hearth", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
