#include "serve/openai_batches.h"

#include <charconv>
#include <set>

#include "api/json.h"
#include "api/openai/encode.h"
#include "api/reply.h"
#include "api/v1.h"
#include "base/error.h"
#include "base/random.h"
#include "http/target.h"
#include "serve/openai_files.h"
#include "serve/request_batches.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr size_t kMost_lines = 50'000;
constexpr size_t kMost_faults = 100;  // that are told
constexpr std::string_view kEndpoints[] = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings",
                                           "/v1/responses"};

json::value seconds(int64_t ms) {
  return ms > 0 ? json::value(ms / 1000) : json::value();
}

json::value member(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr ? *value : json::value();
}

// What is wrong with a line; nothing: it is a request.
struct Fault {
  std::string code, message, param;
};

class Lines {
 public:
  Lines(std::string_view text, std::string endpoint) : text_(text), endpoint_(std::move(endpoint)) {}

  size_t number() const { return number_; }  // of the last one, from 1
  // Nothing at the end.
  std::optional<std::string_view> next() {
    while (!text_.empty()) {
      const size_t end = std::min(text_.find('\n'), text_.size());
      std::string_view line = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) return line;
    }
    return std::nullopt;
  }
  std::optional<Fault> read(std::string_view line, BatchLine& target) {
    auto value = api::read_object(line);
    if (!value) return Fault{"invalid_json_line", "This line is not parseable as valid JSON.", ""};
    json::object& object = value->get_object();
    const auto text = [&](const char* name) {
      const json::value found = member(object, name);
      return found.is_string() ? std::string(found.get_string()) : std::string();
    };
    target.custom_id = text("custom_id");
    if (target.custom_id.empty()) return Fault{"missing_required_parameter", "custom_id is missing.", "custom_id"};
    if (!seen_.insert(target.custom_id).second)
      return Fault{"duplicate_custom_id", fmt::format("The custom_id '{}' was there before.", target.custom_id),
                   "custom_id"};
    if (text("method") != "POST") return Fault{"invalid_method", "method must be POST.", "method"};
    if (text("url") != endpoint_)
      return Fault{"mismatched_url", fmt::format("url must be the batch's endpoint, {}.", endpoint_), "url"};
    json::value* body = object.if_contains("body");
    if (body == nullptr || !body->is_object())
      return Fault{"missing_required_parameter", "body is missing, or no object.", "body"};
    if (member(body->get_object(), "stream") == json::value(true))
      return Fault{"invalid_request", "stream cannot be true in a batch.", "body.stream"};
    target.body = std::move(body->get_object());
    return std::nullopt;
  }

 private:
  std::string_view text_;
  const std::string endpoint_;
  size_t number_ = 0;
  std::set<std::string> seen_;
};

// Of all lines, before any is queued.
json::array faults_of(std::string_view text, const std::string& endpoint) {
  json::array faults;
  Lines lines(text, endpoint);
  size_t count = 0;
  const auto add = [&](const Fault& fault, json::value line) {
    faults.push_back({{"code", fault.code},
                      {"message", fault.message},
                      {"param", fault.param.empty() ? json::value() : json::value(fault.param)},
                      {"line", std::move(line)}});
  };
  while (const auto line = lines.next()) {
    BatchLine read;
    if (const auto fault = lines.read(*line, read)) add(*fault, lines.number());
    if (faults.size() == kMost_faults) return faults;
    if (++count > kMost_lines) {
      add({"too_many_lines", fmt::format("A batch has at most {} requests.", kMost_lines), ""}, nullptr);
      return faults;
    }
  }
  if (count == 0) add({"empty_file", "The file has no requests.", ""}, nullptr);
  return faults;
}

json::object batch_json(BatchWork& batch, const batch::JobInfo& job) {
  const json::object info = info_of(job);
  const auto counts = batch.queue().counts(job.id);
  const int64_t done = counts ? counts->of("done") : 0, failed = counts ? counts->of("failed") : 0;
  const int64_t cancelled = counts ? counts->of("cancelled") : 0;
  const bool faulty = info.contains("errors"), ended = has_ended(job) && !faulty;
  const std::string status = faulty                                               ? "failed"
                             : job.state == "done"                                ? "completed"
                             : job.state == "cancelled" || job.state == "expired" ? job.state
                                                                                  : "in_progress";
  const auto when = [&](const char* wanted) { return status == wanted ? seconds(job.ended_ms) : json::value(); };
  return {{"id", job.key},
          {"object", "batch"},
          {"endpoint", member(info, "endpoint")},
          {"errors", faulty ? json::value({{"object", "list"}, {"data", info.at("errors")}}) : json::value()},
          {"input_file_id", member(info, "input_file_id")},
          {"completion_window", "24h"},
          {"status", status},
          {"output_file_id", ended && done > 0 ? json::value(output_id(job, false)) : json::value()},
          {"error_file_id", ended && failed + cancelled > 0 ? json::value(output_id(job, true)) : json::value()},
          {"created_at", seconds(job.created_ms)},
          {"in_progress_at", faulty ? json::value() : seconds(job.created_ms)},
          {"expires_at", seconds(job.deadline_ms)},
          {"finalizing_at", when("completed")},
          {"completed_at", when("completed")},
          {"failed_at", faulty ? seconds(job.created_ms) : json::value()},
          {"expired_at", when("expired")},
          {"cancelling_at", when("cancelled")},
          {"cancelled_at", when("cancelled")},
          {"request_counts", {{"total", job.items}, {"completed", done}, {"failed", failed}}},
          {"metadata", member(info, "metadata")}};
}

http::Response refusal(unsigned status, const std::string& message, const std::string& param = {}) {
  return api::openai::problem(status, message, param);
}

http::Response create(BatchWork& batch, const api::Caller& caller, std::string_view body) {
  const auto read = api::read_object(body);
  if (!read) return refusal(400, read.error().message);
  const api::Fields fields(read->get_object(), "");
  const auto file = fields.text("input_file_id"), endpoint = fields.text("endpoint"),
             window = fields.text("completion_window");
  if (!file || !*file) return refusal(400, "input_file_id is missing", "input_file_id");
  if (!endpoint || !*endpoint || std::ranges::find(kEndpoints, **endpoint) == std::end(kEndpoints))
    return refusal(400, fmt::format("endpoint must be one of {}", fmt::join(kEndpoints, ", ")), "endpoint");
  if (!window || window->value_or("") != "24h")
    return refusal(400, "completion_window must be 24h", "completion_window");
  const auto content = open_file(batch, caller.key, **file);
  if (!content) return refusal(400, fmt::format("No such file: {}", **file), "input_file_id");
  const auto bytes = content->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  json::object info{
      {"endpoint", **endpoint}, {"input_file_id", **file}, {"metadata", member(fields.all(), "metadata")}};
  json::array faults = faults_of(text, **endpoint);
  Lines lines(faults.empty() ? text : std::string_view(), **endpoint);
  if (!faults.empty()) info["errors"] = std::move(faults);
  const NextLine next = [&lines]() -> Result<std::optional<BatchLine>> {
    const auto line = lines.next();
    if (!line) return std::optional<BatchLine>();
    BatchLine target;
    if (const auto fault = lines.read(*line, target)) return error(ErrorKind::kUsage, "{}", fault->message);
    return std::optional(std::move(target));
  };
  const auto job = submit_batch(batch, caller, "batch_" + random_hex(24), kOpenai_jobs, **endpoint, info, next);
  if (!job) return refusal(job.error().kind == ErrorKind::kNoSpace ? 507 : 500, job.error().message);
  return api::json_reply(200, batch_json(batch, *job));
}

Result<batch::JobInfo> find(BatchWork& batch, const std::string& owner, const std::string& id) {
  auto job = batch.queue().find_job(owner, id);
  if (!job || job->name != kOpenai_jobs) return error(ErrorKind::kNotFound, "No batch found with id '{}'.", id);
  return job;
}

void show(BatchWork& batch, const api::Call& call) {
  const auto job = find(batch, call.caller.key, call.rest);
  call.exchange->send(job ? api::json_reply(200, batch_json(batch, *job)) : refusal(404, job.error().message));
}

void cancel(BatchWork& batch, const api::Call& call) {
  const auto job = find(batch, call.caller.key, call.rest);
  if (!job) return call.exchange->send(refusal(404, job.error().message));
  if (has_ended(*job) && job->state != "cancelled")
    return call.exchange->send(refusal(409, "Cannot cancel a batch that has ended."));
  const Status done = batch.queue().cancel(job->id);
  if (!done) return call.exchange->send(refusal(500, done.error().message));
  batch.wake();
  show(batch, call);
}

void list(BatchWork& batch, const api::Call& call) {
  const std::string& query = call.request.head.query;
  size_t limit = 20;
  if (const auto text = http::query_value(query, "limit"))
    std::from_chars(text->data(), text->data() + text->size(), limit);
  if (limit < 1 || limit > 100) return call.exchange->send(refusal(400, "limit must be from 1 to 100", "limit"));
  const auto page =
      page_of(batch, call.caller.key, kOpenai_jobs, http::query_value(query, "after").value_or(""), limit);
  if (!page) return call.exchange->send(refusal(500, page.error().message));
  json::array data;
  for (const batch::JobInfo& job : page->jobs) data.push_back(batch_json(batch, job));
  const auto id = [](const batch::JobInfo& job) { return json::value(job.key); };
  call.exchange->send(api::json_reply(200, {{"object", "list"},
                                            {"data", std::move(data)},
                                            {"first_id", page->jobs.empty() ? json::value() : id(page->jobs.front())},
                                            {"last_id", page->jobs.empty() ? json::value() : id(page->jobs.back())},
                                            {"has_more", page->more}}));
}

json::value parse(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed ? json::value() : value;
}

std::string output_line(const batch::JobInfo& job, const batch::StepResult& result) {
  const std::string id = fmt::format("{}_{}", job.key.substr(job.key.find('_') + 1), result.item);
  json::object line{{"id", "batch_req_" + id}, {"custom_id", result.item_key}};
  const json::value output = parse(result.output);
  if (output.is_object()) {
    line["response"] = {{"status_code", output.at("status")}, {"request_id", "req_" + id}, {"body", output.at("body")}};
    line["error"] = nullptr;
  } else {
    const bool never = result.state == "cancelled";
    const char* code = !never ? "server_error" : job.state == "expired" ? "batch_expired" : "batch_cancelled";
    line["response"] = nullptr;
    line["error"] = {{"code", code},
                     {"message", !never ? result.error
                                        : fmt::format("This request was not executed before the batch {}.",
                                                      job.state == "expired" ? "expired" : "was cancelled")}};
  }
  return json::serialize(line) + "\n";
}

}  // namespace

std::string output_id(const batch::JobInfo& job, bool errors) {
  return fmt::format("file-{}-{}", job.key, errors ? "errors" : "output");
}

Result<BatchOutput> find_output(BatchWork& batch, const std::string& owner, const std::string& file_id) {
  const Error none = error(ErrorKind::kNotFound, "No such File object: {}", file_id);
  const size_t begin = file_id.find('-'), end = file_id.rfind('-');
  if (begin == std::string::npos || end <= begin) return none;
  const auto job = find(batch, owner, file_id.substr(begin + 1, end - begin - 1));
  if (!job) return none;
  const BatchOutput output{*job, file_id.ends_with("-errors")};
  const json::object shown = batch_json(batch, *job), info = info_of(*job);
  const json::value id = shown.at(output.errors ? "error_file_id" : "output_file_id");
  if (id != json::value(file_id) || info.contains(output.errors ? "errors_deleted" : "output_deleted")) return none;
  return output;
}

Status each_output_line(BatchWork& batch, const BatchOutput& output,
                        const std::function<bool(const std::string& line)>& take) {
  return each_request(batch, output.job, [&](const batch::StepResult& result) {
    return (result.state != "done") != output.errors || take(output_line(output.job, result));
  });
}

void add_batch_routes(api::Router& router, BatchWork& batch, LongWork& work) {
  api::add_v1(router, "POST", "/batches", [&batch, &work](const api::Call& call) {
    const auto exchange = call.exchange;
    const auto started =
        work.start([&batch, exchange, caller = call.caller, body = std::string(call.request.body.text())](
                       const std::atomic<bool>&) { exchange->send(create(batch, caller, body)); });
    if (!started) exchange->send(refusal(503, "too much is being submitted; try again in a moment"));
  });
  api::add_v1(router, "GET", "/batches", [&batch](const api::Call& call) { list(batch, call); });
  api::add_v1(router, "GET", "/batches/*", [&batch](const api::Call& call) { show(batch, call); });
  api::add_v1(router, "POST", "/batches/*/cancel", [&batch](const api::Call& call) { cancel(batch, call); });
}

}  // namespace hearth::serve
