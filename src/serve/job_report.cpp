#include "serve/job_report.h"

#include "api/reply.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

double quantile(const std::vector<int64_t>& rising, double part) {
  const auto at = static_cast<size_t>(part * static_cast<double>(rising.size() - 1));
  return static_cast<double>(rising[at]);
}

json::value parse(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed ? json::value() : value;
}

}  // namespace

Forecast forecast(BatchWork& batch, const std::map<std::string, int64_t>& steps) {
  Forecast result;
  for (const auto& [model, count] : steps) {
    const auto past = batch.queue().past(model);
    if (!past || past->took_ms.empty()) {
      result.known = false;
      continue;
    }
    const BatchWork::Speed speed = batch.speed(model);
    const double turns = static_cast<double>(count) / static_cast<double>(std::max<int64_t>(1, speed.width));
    const double load_s = static_cast<double>(speed.load_ms) / 1e3;
    result.p50_s += turns * quantile(past->took_ms, 0.5) / 1e3 + load_s;
    result.p90_s += turns * quantile(past->took_ms, 0.9) / 1e3 + load_s;
  }
  return result;
}

json::value to_json(const Forecast& forecast) {
  if (!forecast.known) return nullptr;
  return json::object{{"p50", forecast.p50_s}, {"p90", forecast.p90_s}};
}

Result<json::object> job_report(BatchWork& batch, const batch::JobInfo& job) {
  batch::Queue& queue = batch.queue();
  ASSIGN_OR_RETURN(const batch::Counts counts, queue.counts(job.id));
  ASSIGN_OR_RETURN(const int64_t recent, queue.done_in_last_minute(job.id));
  ASSIGN_OR_RETURN(const auto left, queue.left(job.id));
  json::object steps;
  for (const auto& [state, count] : counts.by_state) steps[state] = count;
  const double each = job.items > 0 ? static_cast<double>(counts.total()) / static_cast<double>(job.items) : 1;
  const int64_t now = queue.now();
  const int64_t age_ms = std::max<int64_t>(1'000, std::min<int64_t>(60'000, now - job.created_ms));
  const double per_minute = static_cast<double>(recent) * 60'000.0 / static_cast<double>(age_ms);
  json::object report{{"key", job.key},
                      {"name", job.name},
                      {"state", job.state},
                      {"items", job.items},
                      {"steps", std::move(steps)},
                      {"steps_total", counts.total()},
                      {"created", api::rfc3339(job.created_ms / 1000)},
                      {"ended", job.ended_ms > 0 ? json::value(api::rfc3339(job.ended_ms / 1000)) : json::value()},
                      {"steps_per_minute", per_minute},
                      {"jobs_per_minute", per_minute / std::max(each, 1.0)},
                      {"models_left", left.size()},
                      {"loads", batch.work().loads}};
  report["left_s"] = to_json(forecast(batch, left));
  report["problem"] = batch.problem();
  return report;
}

json::object item_line(const std::string& key, json::value item, json::object steps) {
  return {{"key", key}, {"item", std::move(item)}, {"steps", std::move(steps)}};
}

json::value step_line(const batch::StepResult& result) {
  json::value output = parse(result.output);
  if (output.is_object()) {
    if (!result.error.empty()) output.get_object()["error"] = result.error;
    return output;
  }
  const bool open = result.state == "blocked" || result.state == "ready" || result.state == "leased";
  const std::string error = !result.error.empty() ? result.error : open ? "not done yet" : result.state;
  return json::object{
      {"text", nullptr}, {"json", nullptr}, {"finish_reason", nullptr}, {"usage", nullptr}, {"error", error}};
}

}  // namespace hearth::serve
