#include "serve/store_routes.h"

#include <boost/json.hpp>

#include "api/json.h"
#include "disk/findings.h"
#include "serve/json_answer.h"
#include "store/edit_models.h"
#include "store/gc.h"
#include "store/ollama_models.h"
#include "store/pins.h"
#include "store/room.h"
#include "store/tiers.h"
#include "store/usage.h"
#include "store/weights_of.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

json::object store_json(const store::TierState& state) {
  const std::set<std::string> pinned = store::pinned_models(state.tier.folder);
  json::array models, promises;
  for (const store::StoredModel& model : state.models)
    models.push_back({{"name", model.name},
                      {"bytes", model.bytes},
                      {"freed_bytes", model.freed_bytes},
                      {"pinned", pinned.contains(model.name)}});
  for (const disk::Promise& promise : disk::promises(state.tier.folder))
    promises.push_back({{"what", promise.what}, {"bytes", promise.bytes}});
  const auto left = store::seconds_until_full(state.tier.folder);
  return {{"name", state.tier.name},
          {"folder", state.tier.folder},
          {"writable", state.writable},
          {"level", disk::level_name(state.space.level)},
          {"total_bytes", state.space.facts.total_bytes},
          {"free_bytes", state.space.facts.free_bytes},
          {"keep_free_bytes", state.space.keep_free_bytes},
          {"promised_bytes", state.space.promised_bytes},
          {"usable_bytes", state.writable ? state.space.usable_bytes : 0},
          {"models_bytes", state.blob_bytes},
          {"garbage_bytes", state.garbage_bytes},
          {"partial_bytes", state.partial_bytes},
          {"full_in_seconds", left ? json::value(*left) : json::value(nullptr)},
          {"promises", std::move(promises)},
          {"models", std::move(models)}};
}

http::Response look() {
  store::watch_tiers();
  json::array stores, findings;
  for (const store::TierState& state : store::look_at_tiers()) {
    if (!state.exists) continue;
    stores.push_back(store_json(state));
    for (const disk::Finding& finding : disk::findings_of(state.tier.folder))
      if (state.writable && finding.cause.id != "disk-not-writable")
        findings.push_back(
            {{"id", finding.cause.id}, {"cause", what_of(finding.cause)}, {"remedy", remedy_of(finding.cause)}});
  }
  return json_answer(200, json::object{{"stores", std::move(stores)}, {"findings", std::move(findings)}});
}

Result<json::value> collect(std::string_view body) {
  ASSIGN_OR_RETURN(const json::value value, api::read_object(body));
  const api::Fields fields(value.get_object(), "");
  ASSIGN_OR_RETURN(const auto name, fields.text("store"));
  ASSIGN_OR_RETURN(const store::Tier tier, store::find_tier(name.value_or("")));
  ASSIGN_OR_RETURN(const uint64_t bytes, store::collect_garbage(tier.folder, store::kGarbage_age_s));
  return json::value{{"freed_bytes", bytes}};
}

void add_pin_route(api::Router& router, const char* method,
                   Status (*change)(const std::string& name, std::span<const std::string> folders)) {
  router.add({.method = method,
              .path = "/hearth/pins/*",
              .run =
                  [change](const api::Call& call) {
                    const Status done = change(call.rest, store::model_folders());
                    call.exchange->send(done ? json_answer(200, json::object{}) : failure_answer(done.error()));
                  },
              .role = api::Role::kManage});
}

}  // namespace

void add_store_routes(api::Router& router, LongWork& work) {
  router.add({.method = "GET", .path = "/hearth/disk", .run = [&work](const api::Call& call) {
                answer_later(work, call, look);
              }});
  router.add({.method = "POST",
              .path = "/hearth/disk/gc",
              .run =
                  [&work](const api::Call& call) {
                    answer_later(work, call, [body = std::string(call.request.body.text())] {
                      const auto done = collect(body);
                      return done ? json_answer(200, *done) : failure_answer(done.error());
                    });
                  },
              .role = api::Role::kManage});
  add_pin_route(router, "PUT", store::pin_model);
  add_pin_route(router, "DELETE", store::unpin_model);
}

}  // namespace hearth::serve
