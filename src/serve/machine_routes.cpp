#include "serve/machine_routes.h"

#include <boost/json.hpp>

#include "api/json.h"
#include "base/error.h"
#include "config/table.h"
#include "doctor/collect.h"
#include "doctor/diagnose.h"
#include "doctor/report.h"
#include "fleet/cards.h"
#include "fleet/find_model.h"
#include "fleet/gpus.h"
#include "fleet/machine.h"
#include "fleet/plan_model.h"
#include "serve/json_answer.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

struct Wish {
  std::string model;
  std::optional<uint32_t> context;
  std::optional<std::string> kv_type;
};

Result<Wish> read_wish(std::string_view body) {
  ASSIGN_OR_RETURN(const json::value value, api::read_object(body));
  const api::Fields fields(value.get_object(), "");
  Wish wish;
  ASSIGN_OR_RETURN(const auto model, fields.text("model"));
  if (!model) return error(ErrorKind::kUsage, "model is missing");
  wish.model = *model;
  ASSIGN_OR_RETURN(const auto context, fields.integer("context", 1, 1 << 30));
  if (context) wish.context = static_cast<uint32_t>(*context);
  ASSIGN_OR_RETURN(wish.kv_type, fields.text("kv_type"));
  if (wish.kv_type && *wish.kv_type != "f16" && *wish.kv_type != "q8_0" && *wish.kv_type != "f32")
    return error(ErrorKind::kUsage, "kv_type must be f16, q8_0 or f32");
  return wish;
}

json::object device_json(const placement::Share& share, const placement::DeviceState& device) {
  return {{"name", device.name},
          {"layers", share.layers + (share.output ? 1 : 0)},
          {"weights_bytes", share.weights},
          {"cache_bytes", share.cache},
          {"workspace_bytes", share.workspace},
          {"driver_bytes", share.overhead},
          {"total_bytes", share.total()},
          {"free_bytes", device.free}};
}

json::object offer_json(const placement::Offer& offer) {
  json::array close;
  for (const placement::Process& process : offer.close)
    close.push_back({{"pid", process.pid}, {"name", process.name}, {"bytes", process.bytes}});
  return {{"text", offer.text},
          {"context", offer.serving.context},
          {"kv_type", offer.serving.kv_type},
          {"quantization", offer.serving.recipe},
          {"close", std::move(close)},
          {"layers_on_gpu", offer.plan.layers_on_gpus()}};
}

// What the model has now it would give back before it is loaded in another way.
void count_own_as_free(const fleet::Fleet& models, const std::string& name,
                       std::vector<placement::DeviceState>& devices) {
  for (const fleet::RunningModel& running : models.running()) {
    if (running.found.name != name) continue;
    for (const auto& own : running.devices.devices)
      for (placement::DeviceState& device : devices)
        if (own.gpu ? device.id == own.id : device.host)
          device.free += own.gpu ? fleet::held_bytes(own.ordinal, name) : own.memory.total();
  }
}

Result<json::value> plan(const Wish& wish, const fleet::Fleet& models, const fleet::FleetOptions& options) {
  ASSIGN_OR_RETURN(const store::ModelFiles found, fleet::find_named_model(wish.model));
  ASSIGN_OR_RETURN(const std::shared_ptr<const gguf::File> file, fleet::open_model(wish.model));
  const bool off = options.model.gpu == fleet::GpuPolicy::kOff;
  std::vector<placement::DeviceState> devices{fleet::host_state()};
  if (!off) {
    ASSIGN_OR_RETURN(devices, fleet::this_machine());
  }
  count_own_as_free(models, found.name, devices);
  placement::ServingOptions serving{.parallel = options.parallel, .kv_type = options.model.kv_type};
  if (options.model.context != 0) serving.context = options.model.context;
  const uint32_t own = fleet::context_parameter(found.parameters);
  if (options.model.context == 0 && own != 0) serving.context = own;
  serving.context = wish.context.value_or(serving.context);
  serving.kv_type = wish.kv_type.value_or(serving.kv_type);
  serving.plan.experts_last = options.model.experts_last;
  ASSIGN_OR_RETURN(const fleet::PlannedModel planned, fleet::plan_model(file, devices, serving));
  json::array places, offers;
  for (size_t i = 0; i < devices.size(); ++i) places.push_back(device_json(planned.plan.shares[i], devices[i]));
  for (const placement::Offer& offer : planned.offers) offers.push_back(offer_json(offer));
  const Cause cause = devices.size() == 1 && !off ? fleet::find_gpus().problem : Cause();
  return json::value{{"model", found.name},
                     {"layers", planned.plan.layers_in_all()},
                     {"layers_on_gpu", planned.plan.layers_on_gpus()},
                     {"fits", planned.plan.fits},
                     {"context", planned.serving.context},
                     {"kv_type", planned.serving.kv_type},
                     {"devices", std::move(places)},
                     {"offers", std::move(offers)},
                     {"missing_bytes", planned.missing ? json::value(*planned.missing) : json::value(nullptr)},
                     {"cause", what_of(cause)},
                     {"remedy", remedy_of(cause)}};
}

// A smaller context than the model has is a wish too: it goes first then, once nobody uses it.
void load(fleet::Fleet& models, const Wish& wish, const std::shared_ptr<http::Exchange>& exchange) {
  auto found = fleet::find_named_model(wish.model);
  if (!found) return exchange->send(failure_answer(found.error()));
  for (const fleet::RunningModel& running : models.running())
    if (running.found.name == found->name && wish.context.value_or(running.context) < running.context)
      models.unload(found->name);
  fleet::LoadWish how{.context = wish.context, .kv_type = wish.kv_type};
  how.settled = true;
  models.use(std::move(found).value(), how, {}, [exchange](const Result<std::shared_ptr<fleet::Fleet::Lease>>& lease) {
    exchange->send(lease ? json_answer(200, json::object{{"model", (**lease)->found.name}})
                         : failure_answer(lease.error()));
  });
}

http::Response examine() {
  const doctor::Bundle bundle = doctor::collect({});
  const doctor::Facts facts = doctor::read_facts(bundle);
  return {{.status = 200, .headers = {{"Content-Type", "application/json"}}},
          doctor::report_json(facts, doctor::diagnose(facts), bundle, false)};
}

http::Response explain(const std::string& id) {
  if (const doctor::Rule* rule = doctor::find_rule(id))
    return json_answer(200, json::object{{"id", rule->id}, {"text", doctor::explain(*rule)}});
  if (const CauseWords* words = find_cause_words(id))
    return json_answer(200, json::object{{"id", words->id}, {"text", doctor::explain(*words)}});
  return failure_answer(error(ErrorKind::kNotFound, "there is no cause {}", id));
}

}  // namespace

void add_machine_routes(api::Router& router, fleet::Fleet& models, const fleet::FleetOptions& options, LongWork& work) {
  router.add({.method = "POST", .path = "/hearth/plan", .run = [&models, options, &work](const api::Call& call) {
                auto wish = read_wish(call.request.body.text());
                if (!wish) return call.exchange->send(failure_answer(wish.error()));
                answer_later(work, call, [&models, options, wish = *std::move(wish)] {
                  const auto planned = plan(wish, models, options);
                  return planned ? json_answer(200, *planned) : failure_answer(planned.error());
                });
              }});
  router.add({.method = "POST", .path = "/hearth/load", .run = [&models](const api::Call& call) {
                const auto wish = read_wish(call.request.body.text());
                if (!wish) return call.exchange->send(failure_answer(wish.error()));
                load(models, *wish, call.exchange);
              }});
  router.add({.method = "GET",
              .path = "/hearth/doctor",
              .run = [&work](const api::Call& call) { answer_later(work, call, examine); },
              .role = api::Role::kManage});
  router.add({.method = "GET", .path = "/hearth/causes/*", .run = [](const api::Call& call) {
                call.exchange->send(explain(call.rest));
              }});
}

std::string settings_json(const config::Loaded& loaded) {
  json::array settings;
  for (const config::Setting& setting : config::table()) {
    const auto origin = loaded.origins.find(setting.key);
    settings.push_back({{"key", setting.key},
                        {"value", setting.show(loaded.settings)},
                        {"origin", origin == loaded.origins.end() ? "" : origin->second},
                        {"summary", setting.summary},
                        {"reloads", setting.reloads}});
  }
  return json::serialize(json::object{{"file", loaded.file}, {"settings", std::move(settings)}});
}

void add_settings_route(api::Router& router, const Current<std::string>& settings) {
  router.add(
      {.method = "GET",
       .path = "/hearth/settings",
       .run =
           [&settings](const api::Call& call) {
             call.exchange->send({{.status = 200, .headers = {{"Content-Type", "application/json"}}}, *settings.get()});
           },
       .role = api::Role::kAdmin});
}

}  // namespace hearth::serve
