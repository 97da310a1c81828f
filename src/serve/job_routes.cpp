#include "serve/job_routes.h"

#include <charconv>
#include <set>
#include <thread>

#include "base/error.h"
#include "http/target.h"
#include "serve/job_report.h"
#include "serve/job_upload.h"
#include "serve/json_answer.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr uint64_t kMost_upload_bytes = uint64_t{4} << 30;
constexpr int64_t kItems_at_once = 200;

// A parameter of the query, of 0 and more.
int64_t number_of(const api::Call& call, const char* name, int64_t otherwise) {
  int64_t value = otherwise;
  if (const auto text = http::query_value(call.request.head.query, name))
    std::from_chars(text->data(), text->data() + text->size(), value);
  return std::max<int64_t>(0, value);
}

void upload(BatchWork& batch, LongWork& work, api::Call call) {
  const std::string use = http::query_value(call.request.head.query, "do").value_or("submit");
  const UploadUse kind = use == "plan" ? UploadUse::kPlan : use == "diff" ? UploadUse::kDiff : UploadUse::kSubmit;
  const auto kept = std::make_shared<api::Call>(std::move(call));
  answer_later(work, *kept, [&batch, kept, kind]() -> http::Response {
    const auto answer = take_upload(batch, kept->caller, kept->rest, kept->request.body.text(), kind);
    return answer ? json_answer(200, *answer) : failure_answer(answer.error());
  });
}

http::Response list(BatchWork& batch, const std::string& owner) {
  const auto jobs = batch.queue().jobs(owner);
  if (!jobs) return failure_answer(jobs.error());
  constexpr size_t kMost = 200;
  json::array list;
  for (const batch::JobInfo& job : *jobs) {
    if (list.size() == kMost) break;
    auto report = job_report(batch, job);
    if (!report) return failure_answer(report.error());
    list.push_back(std::move(*report));
  }
  return json_answer(200, json::object{{"jobs", std::move(list)}});
}

http::Response show(BatchWork& batch, const std::string& owner, const std::string& name) {
  const auto job = batch.queue().find_job(owner, name);
  if (!job) return failure_answer(job.error());
  const auto report = job_report(batch, *job);
  return report ? json_answer(200, *report) : failure_answer(report.error());
}

http::Response act(BatchWork& batch, const api::Call& call, const std::string& action) {
  const auto job = batch.queue().find_job(call.caller.key, call.rest);
  if (!job) return failure_answer(job.error());
  batch::Queue& queue = batch.queue();
  Status done;
  if (action == "cancel") done = queue.cancel(job->id);
  if (action == "pause") done = queue.pause(job->id);
  if (action == "resume") done = queue.resume(job->id);
  if (action == "retry") {
    const auto count = queue.retry_failed(job->id);
    done = count ? Status() : Status(count.error());
  }
  if (!done) return failure_answer(done.error());
  batch.wake();
  return show(batch, call.caller.key, job->key);
}

// The lines of some items, in their order, without those that are not complete.
Result<std::vector<json::object>> lines_of(BatchWork& batch, const batch::JobInfo& job, int64_t first, int64_t count) {
  std::map<int64_t, std::pair<std::string, json::object>> items;
  std::set<int64_t> open;
  TRY(batch.queue().results(job.id, first, count, [&](const batch::StepResult& one) {
    auto& [key, steps] = items[one.item];
    key = one.item_key;
    steps[one.name] = step_line(one);
    if (one.state == "blocked" || one.state == "ready" || one.state == "leased") open.insert(one.item);
  }));
  std::vector<json::object> lines;
  for (auto& [number, item] : items) {
    if (open.contains(number)) continue;
    ASSIGN_OR_RETURN(const std::string data, batch.queue().item_data(job.id, number));
    boost::system::error_code failed;
    json::value value = json::parse(data, failed);
    lines.push_back(item_line(item.first, failed ? json::value() : std::move(value), std::move(item.second)));
  }
  return lines;
}

// Waits where the client is slow.
void send_results(BatchWork& batch, const batch::JobInfo& job, int64_t from,
                  const std::shared_ptr<http::Exchange>& exchange) {
  const bool partial = job.state == "running" || job.state == "paused";
  exchange->start({.status = 200,
                   .headers = {{"Content-Type", "application/x-ndjson"}, {"x-hearth-partial", partial ? "1" : "0"}}});
  for (int64_t first = from; first < job.items && !exchange->gone(); first += kItems_at_once) {
    const auto lines = lines_of(batch, job, first, kItems_at_once);
    if (!lines) return exchange->abort();
    std::string text;
    for (const json::object& line : *lines) text += json::serialize(line) + "\n";
    exchange->write(text);
    while (exchange->full() && !exchange->gone()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  exchange->finish();
}

// A few of them, for the page.
http::Response first_results(BatchWork& batch, const api::Call& call) {
  const auto job = batch.queue().find_job(call.caller.key, call.rest);
  if (!job) return failure_answer(job.error());
  constexpr int64_t kMost = 100;
  const auto lines = lines_of(batch, *job, 0, std::min(kMost, number_of(call, "count", 20)));
  if (!lines) return failure_answer(lines.error());
  return json_answer(200, json::object{{"results", json::array(lines->begin(), lines->end())}});
}

void results(BatchWork& batch, LongWork& work, const api::Call& call) {
  const auto job = batch.queue().find_job(call.caller.key, call.rest);
  if (!job) return call.exchange->send(failure_answer(job.error()));
  const int64_t from = number_of(call, "from", 0);
  const auto exchange = call.exchange;
  const auto started = work.start(
      [&batch, job = *job, from, exchange](const std::atomic<bool>&) { send_results(batch, job, from, exchange); });
  if (!started)
    exchange->send(failure_answer(error(ErrorKind::kBusy, "too much is being read; try again in a moment")));
}

}  // namespace

void add_job_routes(api::Router& router, BatchWork& batch, LongWork& work) {
  router.add({.method = "POST",
              .path = "/hearth/jobs/*",
              .run = [&batch, &work](api::Call call) { upload(batch, work, std::move(call)); },
              .most_body_bytes = kMost_upload_bytes});
  router.add({.method = "GET", .path = "/hearth/jobs", .run = [&batch, &work](const api::Call& call) {
                answer_later(work, call, [&batch, owner = call.caller.key] { return list(batch, owner); });
              }});
  router.add({.method = "GET", .path = "/hearth/jobs/*/results", .run = [&batch, &work](const api::Call& call) {
                results(batch, work, call);
              }});
  router.add({.method = "GET", .path = "/hearth/jobs/*/first", .run = [&batch](const api::Call& call) {
                call.exchange->send(first_results(batch, call));
              }});
  router.add({.method = "GET", .path = "/hearth/jobs/*", .run = [&batch](const api::Call& call) {
                call.exchange->send(show(batch, call.caller.key, call.rest));
              }});
  for (const std::string action : {"cancel", "pause", "resume", "retry"})
    router.add({.method = "POST", .path = "/hearth/jobs/*/" + action, .run = [&batch, action](const api::Call& call) {
                  call.exchange->send(act(batch, call, action));
                }});
}

}  // namespace hearth::serve
