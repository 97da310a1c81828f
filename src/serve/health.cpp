#include "serve/health.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/log.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

void add_model_findings(const fleet::RunningModel& model, std::vector<Finding>& list) {
  const engine::DeviceStatus& devices = model.devices;
  if (model.broken) {
    list.push_back(
        {"device-lost", fmt::format("{}: {}", model.found.name, model.broken->what()), model.broken->remedy, true});
  } else if (devices.cause.noteworthy && !devices.cause.empty()) {
    const uint32_t away = static_cast<uint32_t>(devices.layers.size()) - devices.layers_on_gpu();
    list.push_back({"model-not-on-gpu",
                    fmt::format("{}: {} of {} layers run on the CPU: {}", model.found.name, away, devices.layers.size(),
                                what_of(devices.cause)),
                    remedy_of(devices.cause), false, devices.cause.id});
  }
}

http::Response respond(const Health& health, bool whole) {
  const std::vector<Finding> findings = health.findings();
  const bool ready = std::ranges::none_of(findings, &Finding::unready);
  json::array reasons;
  for (const Finding& finding : findings) {
    json::object reason{{"id", finding.id}, {"cause", finding.cause}};
    if (!finding.remedy.empty()) reason["remedy"] = finding.remedy;
    if (!finding.cause_id.empty()) reason["cause_id"] = finding.cause_id;
    reasons.push_back(std::move(reason));
  }
  const char* status = !ready ? "unavailable" : findings.empty() ? "ok" : "degraded";
  json::object body{{"status", status}};
  if (whole) {
    body["live"] = true;
    body["ready"] = ready;
    body["degraded"] = !findings.empty();
    body["reasons"] = std::move(reasons);
  }
  return {{.status = ready ? 200u : 503u, .headers = {{"Content-Type", "application/json"}}}, json::serialize(body)};
}

}  // namespace

void Health::set(Finding finding) {
  const std::lock_guard lock(mutex_);
  const auto at = findings_.find(finding.id);
  if (at != findings_.end() && at->second.cause == finding.cause) return;
  log_warn("{}: {}{}{}", finding.id, finding.cause, finding.remedy.empty() ? "" : "; ", finding.remedy);
  findings_[finding.id] = std::move(finding);
}

void Health::clear(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (findings_.erase(id) > 0) log_info("{}: this is over", id);
}

std::vector<Finding> Health::findings() const {
  std::vector<Finding> list;
  for (const fleet::RunningModel& model : models_.running()) add_model_findings(model, list);
  const std::lock_guard lock(mutex_);
  for (const auto& [id, finding] : findings_) list.push_back(finding);
  return list;
}

void add_health_routes(api::Router& router, const Health& health) {
  const auto add = [&](const char* path, auto answer) {
    router.add({.method = "GET",
                .path = path,
                .run = [&health, answer](const api::Call& call) { call.exchange->send(answer(health)); },
                .role = api::Role::kAnyone});
  };
  add("/health", [](const Health& h) { return respond(h, true); });
  add("/health/ready", [](const Health& h) { return respond(h, false); });
  add("/health/live", [](const Health&) {
    return http::Response{{.status = 200, .headers = {{"Content-Type", "application/json"}}}, R"({"status":"ok"})"};
  });
}

}  // namespace hearth::serve
