#include "serve/request_batches.h"

#include "base/error.h"
#include "disk/guard.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr int64_t kAt_once = 200;

// The content that a request's model is now; of one that is not there its name, which says so when it is its turn.
std::string model_of(BatchWork& batch, const api::Caller& caller, const json::object& body) {
  const json::value* model = body.if_contains("model");
  const std::string name = model != nullptr && model->is_string() ? std::string(model->get_string()) : "";
  const auto content = batch.identify(name);
  return content && may_use(caller, name) ? *content : "no such model: " + name;
}

Status add_lines(BatchWork& batch, const api::Caller& caller, int64_t job, const NextLine& next) {
  const batch::StepPlan step{"request", "", {}, 0, 1};
  std::vector<batch::NewItem> some;
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<BatchLine> line, next());
    if (line) some.push_back({line->custom_id, json::serialize(line->body), model_of(batch, caller, line->body)});
    if (some.size() < static_cast<size_t>(kAt_once) && line) continue;
    if (!some.empty()) TRY(batch.queue().add_items(job, some, std::span(&step, 1)));
    some.clear();
    if (!line) return {};
  }
}

}  // namespace

Result<batch::JobInfo> submit_batch(BatchWork& batch, const api::Caller& caller, const std::string& key,
                                    const std::string& name, const std::string& endpoint, const json::object& info,
                                    const NextLine& next) {
  batch::Queue& queue = batch.queue();
  batch::Workflow workflow;
  workflow.name = key;
  workflow.endpoint = endpoint;
  const batch::JobInfo job{.key = key,
                           .owner = caller.key,
                           .name = name,
                           .spec = json::serialize(batch::to_json(workflow)),
                           .info = json::serialize(info),
                           .deadline_ms = queue.now() + kBatch_window_ms};
  ASSIGN_OR_RETURN(const batch::Queue::Submitted begun, queue.begin_job(job));
  Status done = add_lines(batch, caller, begun.job, next);
  if (done) done = queue.release_job(begun.job);
  if (!done) {
    (void)queue.forget_job(begun.job);
    return done.error();
  }
  batch.wake();
  return queue.job(begun.job);
}

Result<BatchPage> page_of(BatchWork& batch, const std::string& owner, const std::string& name, const std::string& after,
                          size_t limit) {
  ASSIGN_OR_RETURN(const std::vector<batch::JobInfo> all, batch.queue().jobs(owner, name));
  BatchPage page;
  bool begun = after.empty();
  for (const batch::JobInfo& job : all) {
    if (begun && page.jobs.size() == limit) page.more = true;
    if (begun && page.jobs.size() < limit) page.jobs.push_back(job);
    begun = begun || job.key == after;
  }
  return page;
}

Status each_request(BatchWork& batch, const batch::JobInfo& job,
                    const std::function<bool(const batch::StepResult& result)>& take) {
  for (int64_t first = 0; first < job.items; first += kAt_once) {
    std::vector<batch::StepResult> some;  // who takes them may be slow, and the queue must not wait
    TRY(batch.queue().results(job.id, first, kAt_once,
                              [&](const batch::StepResult& result) { some.push_back(result); }));
    for (const batch::StepResult& result : some)
      if (!take(result)) return {};
  }
  return {};
}

json::object info_of(const batch::JobInfo& job) {
  boost::system::error_code failed;
  json::value info = json::parse(job.info, failed);
  return !failed && info.is_object() ? std::move(info.get_object()) : json::object();
}

bool has_ended(const batch::JobInfo& job) {
  return job.state != "running" && job.state != "paused" && job.state != "submitting";
}

}  // namespace hearth::serve
