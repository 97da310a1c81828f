// What there is to say of a job: one structure for the routes, the page and the commands.
#pragma once

#include <boost/json.hpp>

#include "serve/batch_work.h"

namespace hearth::serve {

// {"key", "name", "state", "items", "steps": {STATE: n}, "steps_per_minute", "jobs_per_minute", "left_s": {"p50",
// "p90"}, "problem", ...}; left_s is null where nothing is known yet.
Result<boost::json::object> job_report(BatchWork& batch, const batch::JobInfo& job);

// How long steps will take, so many of each model, with a load of each.
struct Forecast {
  double p50_s = 0, p90_s = 0;
  bool known = true;  // of every model something is known
};
Forecast forecast(BatchWork& batch, const std::map<std::string, int64_t>& steps);
boost::json::value to_json(const Forecast& forecast);

// An item's line of results: {"key", "item", "steps": {NAME: {...}}}.
boost::json::object item_line(const std::string& key, boost::json::value item, boost::json::object steps);
boost::json::value step_line(const batch::StepResult& result);

}  // namespace hearth::serve
