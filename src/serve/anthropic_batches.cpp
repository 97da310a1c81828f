#include "serve/anthropic_batches.h"

#include <charconv>
#include <set>
#include <thread>

#include "api/anthropic/encode.h"
#include "api/json.h"
#include "api/reply.h"
#include "api/v1.h"
#include "base/error.h"
#include "base/random.h"
#include "http/target.h"
#include "serve/request_batches.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr const char* kJobs = "anthropic batch";
constexpr uint64_t kMost_bytes = uint64_t{256} << 20;
constexpr size_t kMost_requests = 100'000;

json::value time(int64_t ms) {
  return ms > 0 ? json::value(api::rfc3339(ms / 1000)) : json::value();
}

bool is_custom_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 &&
         std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

std::string base_url(const http::RequestHead& head) {
  const std::string_view scheme = head.headers.get("X-Forwarded-Proto") == "https" ? "https" : "http";
  return fmt::format("{}://{}", scheme, head.headers.get("Host"));
}

json::object to_json(BatchWork& batch, const batch::JobInfo& job, const http::RequestHead& head) {
  const auto counts = batch.queue().counts(job.id);
  const auto count = [&](const char* state) { return counts ? counts->of(state) : 0; };
  const bool ended = has_ended(job), expired = job.state == "expired";
  const auto final = [&](int64_t value) { return ended ? value : 0; };
  return {{"id", job.key},
          {"type", "message_batch"},
          {"processing_status", ended ? "ended" : "in_progress"},
          {"request_counts",
           {{"processing", ended ? 0 : job.items},
            {"succeeded", final(count("done"))},
            {"errored", final(count("failed"))},
            {"canceled", expired ? 0 : final(count("cancelled"))},
            {"expired", expired ? final(count("cancelled")) : 0}}},
          {"created_at", time(job.created_ms)},
          {"expires_at", time(job.deadline_ms)},
          {"ended_at", time(job.ended_ms)},
          {"cancel_initiated_at", job.state == "cancelled" ? time(job.ended_ms) : json::value()},
          {"archived_at", nullptr},
          {"results_url", ended ? json::value(fmt::format("{}/v1/messages/batches/{}/results", base_url(head), job.key))
                                : json::value()}};
}

// Its members are checked before the first is queued.
Status check(const json::array& requests) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < requests.size(); ++i) {
    const json::object* request = requests[i].if_object();
    const json::value* id = request != nullptr ? request->if_contains("custom_id") : nullptr;
    if (id == nullptr || !id->is_string() || !is_custom_id(api::view(id->get_string())))
      return error(ErrorKind::kUsage, "requests.{}.custom_id: 1 to 64 letters, digits, _ and - are needed", i);
    if (!seen.insert(api::view(id->get_string())).second)
      return error(ErrorKind::kUsage, "requests.{}.custom_id: {} was there before", i, std::string(id->get_string()));
    const json::value* params = request->if_contains("params");
    if (params == nullptr || !params->is_object())
      return error(ErrorKind::kUsage, "requests.{}.params: Field required", i);
    const json::value* stream = params->get_object().if_contains("stream");
    if (stream != nullptr && *stream == json::value(true))
      return error(ErrorKind::kUsage, "requests.{}.params.stream: a batch cannot stream", i);
  }
  return {};
}

http::Response create(BatchWork& batch, const api::Call& call) {
  const http::RequestHead& head = call.request.head;
  auto body = api::read_object(call.request.body.text());
  if (!body) return api::anthropic::problem(head, 400, body.error().message);
  json::value* list = body->get_object().if_contains("requests");
  if (list == nullptr || !list->is_array() || list->get_array().empty())
    return api::anthropic::problem(head, 400, "requests: a list with at least one request is needed");
  json::array& requests = list->get_array();
  if (requests.size() > kMost_requests)
    return api::anthropic::problem(head, 413, fmt::format("requests: at most {} are possible", kMost_requests));
  if (const Status good = check(requests); !good) return api::anthropic::problem(head, 400, good.error().message);
  size_t at = 0;
  const NextLine next = [&]() -> Result<std::optional<BatchLine>> {
    if (at == requests.size()) return std::optional<BatchLine>();
    json::object& request = requests[at++].get_object();
    return std::optional(
        BatchLine{std::string(request["custom_id"].get_string()), std::move(request["params"].get_object())});
  };
  const auto job = submit_batch(batch, call.caller, "msgbatch_" + random_hex(24), kJobs, "/v1/messages", {}, next);
  if (!job)
    return api::anthropic::problem(head, job.error().kind == ErrorKind::kNoSpace ? 507 : 500, job.error().message);
  return api::json_reply(200, to_json(batch, *job, head));
}

Result<batch::JobInfo> find(BatchWork& batch, const api::Call& call) {
  auto job = batch.queue().find_job(call.caller.key, call.rest);
  if (!job || job->name != kJobs) return error(ErrorKind::kNotFound, "there is no batch {}", call.rest);
  return job;
}

void list(BatchWork& batch, const api::Call& call) {
  const http::RequestHead& head = call.request.head;
  size_t limit = 20;
  if (const auto text = http::query_value(head.query, "limit"))
    std::from_chars(text->data(), text->data() + text->size(), limit);
  if (limit < 1 || limit > 1000)
    return call.exchange->send(api::anthropic::problem(head, 400, "limit: must be from 1 to 1000"));
  const auto page =
      page_of(batch, call.caller.key, kJobs, http::query_value(head.query, "after_id").value_or(""), limit);
  if (!page) return call.exchange->send(api::anthropic::problem(head, 500, page.error().message));
  json::array data;
  for (const batch::JobInfo& job : page->jobs) data.push_back(to_json(batch, job, head));
  const auto id = [&](bool last) {
    if (page->jobs.empty()) return json::value();
    return json::value(last ? page->jobs.back().key : page->jobs.front().key);
  };
  call.exchange->send(api::json_reply(
      200, {{"data", std::move(data)}, {"has_more", page->more}, {"first_id", id(false)}, {"last_id", id(true)}}));
}

json::value parse(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed ? json::value() : value;
}

std::string result_line(const batch::JobInfo& job, const batch::StepResult& one) {
  json::object result;
  json::value output = parse(one.output);
  if (one.state == "done" && output.is_object()) {
    result = {{"type", "succeeded"}, {"message", output.at("body")}};
  } else if (one.state == "cancelled") {
    result = {{"type", job.state == "expired" ? "expired" : "canceled"}};
  } else if (output.is_object()) {
    result = {{"type", "errored"}, {"error", output.at("body")}};
  } else {
    result = {{"type", "errored"},
              {"error", {{"type", "error"}, {"error", {{"type", "api_error"}, {"message", one.error}}}}}};
  }
  return json::serialize(json::object{{"custom_id", one.item_key}, {"result", std::move(result)}}) + "\n";
}

void send_results(BatchWork& batch, const batch::JobInfo& job, const std::shared_ptr<http::Exchange>& exchange) {
  exchange->start({.status = 200, .headers = {{"Content-Type", "application/x-jsonl"}}});
  const Status sent = each_request(batch, job, [&](const batch::StepResult& one) {
    exchange->write(result_line(job, one));
    while (exchange->full() && !exchange->gone()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return !exchange->gone();
  });
  sent ? exchange->finish() : exchange->abort();
}

// Runs `use` with the job, or says that there is none.
template <class Use>
void with_job(BatchWork& batch, const api::Call& call, const Use& use) {
  const auto job = find(batch, call);
  if (!job) return call.exchange->send(api::anthropic::problem(call.request.head, 404, job.error().message));
  use(*job);
}

void remove(BatchWork& batch, const api::Call& call, const batch::JobInfo& job) {
  if (!has_ended(job))
    return call.exchange->send(
        api::anthropic::problem(call.request.head, 400, "a batch can be deleted once it has ended; cancel it before"));
  const Status gone = batch.queue().forget_job(job.id);
  call.exchange->send(gone ? api::json_reply(200, {{"id", job.key}, {"type", "message_batch_deleted"}})
                           : api::anthropic::problem(call.request.head, 500, gone.error().message));
}

void cancel(BatchWork& batch, const api::Call& call, const batch::JobInfo& job) {
  const Status done = batch.queue().cancel(job.id);
  if (!done) return call.exchange->send(api::anthropic::problem(call.request.head, 500, done.error().message));
  batch.wake();
  with_job(batch, call, [&](const batch::JobInfo& now) {
    call.exchange->send(api::json_reply(200, to_json(batch, now, call.request.head)));
  });
}

void results(BatchWork& batch, LongWork& work, const api::Call& call, const batch::JobInfo& job) {
  if (!has_ended(job))
    return call.exchange->send(api::anthropic::problem(call.request.head, 400, "the batch has not ended yet"));
  const auto exchange = call.exchange;
  const auto started =
      work.start([&batch, job, exchange](const std::atomic<bool>&) { send_results(batch, job, exchange); });
  if (!started)
    exchange->send(api::anthropic::problem(call.request.head, 529, "too much is being read; try again in a moment"));
}

}  // namespace

void add_message_batch_routes(api::Router& router, BatchWork& batch, LongWork& work) {
  for (const char* path : {"/v1/messages/batches", "/messages/batches", "/v1/v1/messages/batches"})
    router.add({.method = "POST",
                .path = path,
                .run =
                    [&batch, &work](api::Call call) {
                      const auto kept = std::make_shared<api::Call>(std::move(call));
                      const auto started = work.start(
                          [&batch, kept](const std::atomic<bool>&) { kept->exchange->send(create(batch, *kept)); });
                      if (!started)
                        kept->exchange->send(api::anthropic::problem(
                            kept->request.head, 529, "too much is being submitted; try again in a moment"));
                    },
                .most_body_bytes = kMost_bytes,
                .also_with_slash = true});
  const std::string one = "/messages/batches/*";
  api::add_v1(router, "GET", "/messages/batches", [&batch](const api::Call& call) { list(batch, call); });
  api::add_v1(router, "GET", one, [&batch](const api::Call& call) {
    with_job(batch, call, [&](const batch::JobInfo& job) {
      call.exchange->send(api::json_reply(200, to_json(batch, job, call.request.head)));
    });
  });
  api::add_v1(router, "DELETE", one, [&batch](const api::Call& call) {
    with_job(batch, call, [&](const batch::JobInfo& job) { remove(batch, call, job); });
  });
  api::add_v1(router, "POST", one + "/cancel", [&batch](const api::Call& call) {
    with_job(batch, call, [&](const batch::JobInfo& job) { cancel(batch, call, job); });
  });
  api::add_v1(router, "GET", one + "/results", [&batch, &work](const api::Call& call) {
    with_job(batch, call, [&](const batch::JobInfo& job) { results(batch, work, call, job); });
  });
}

}  // namespace hearth::serve
