#include "serve/job_upload.h"

#include "api/json.h"
#include "api/openai/ask.h"
#include "base/error.h"
#include "base/text.h"
#include "disk/guard.h"
#include "serve/job_report.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr size_t kItems_at_once = 500;
constexpr uint64_t kRow_bytes = 600;      // what a step costs in the database beside its result
constexpr uint64_t kAnswer_bytes = 2000;  // of a step whose length nothing limits

class Upload {
 public:
  Upload(BatchWork& batch, const api::Caller& caller, std::string key)
      : batch_(batch), caller_(caller), owner_(caller.key), key_(std::move(key)) {}

  // The first line.
  Status read_head(std::string_view line) {
    ASSIGN_OR_RETURN(const json::value head, api::read_object(line));
    const json::value* workflow = head.get_object().if_contains("workflow");
    const batch::Where where = [](const std::string& path) { return path.empty() ? path : path + ": "; };
    ASSIGN_OR_RETURN(batch::Workflow read,
                     batch::workflow_from_json(workflow != nullptr ? *workflow : json::value(), where));
    ASSIGN_OR_RETURN(compiled_, batch::compile(std::move(read), where));
    for (const batch::Step& step : compiled_->workflow.steps)
      for (const std::string& model : {step.model, step.fallback})
        if (!model.empty() && !may_use(caller_, model))
          return error(ErrorKind::kNotFound, "there is no model '{}' for this key", model);
    ASSIGN_OR_RETURN(plan_, batch_.plan_of(*compiled_));
    return {};
  }

  Result<batch::NewItem> read_item(std::string_view line) const {
    ASSIGN_OR_RETURN(const json::value value, api::read_object(line));
    const api::Fields fields(value.get_object(), "");
    ASSIGN_OR_RETURN(const std::optional<std::string> item_key, fields.text("key"));
    const json::value* data = fields.find("data");
    if (!item_key || item_key->empty() || data == nullptr || !data->is_object())
      return error(ErrorKind::kUsage, "an item needs a \"key\" and an object \"data\"");
    return batch::NewItem{*item_key, json::serialize(*data)};
  }

  uint64_t expected_bytes(uint64_t items, uint64_t upload) const {
    uint64_t each = 0;
    for (const batch::Planned& one : compiled_->plan) {
      uint64_t answer = kAnswer_bytes;
      if (!compiled_->workflow.steps.empty())
        if (const json::value* most = compiled_->workflow.steps[one.step].options.if_contains("max_tokens"))
          if (most->is_int64()) answer = std::min<uint64_t>(answer, static_cast<uint64_t>(most->get_int64()) * 4);
      each += kRow_bytes + answer;
    }
    return upload + items * each;
  }

  Result<json::object> submit(std::string_view items);
  Result<json::object> plan(std::string_view items);
  Result<json::object> diff(std::string_view items);

 private:
  template <class Take>
  Status each(std::string_view lines, const Take& take) const;
  batch::Claimed claimed(const batch::NewItem& item, size_t step) const;
  Status check_request(const batch::Request& request, const std::string& item, const std::string& step,
                       json::object& largest) const;
  Status check_sample(const batch::NewItem& item, json::object& largest);

  BatchWork& batch_;
  const api::Caller& caller_;
  const std::string owner_, key_;
  std::shared_ptr<const batch::Compiled> compiled_;
  std::vector<batch::StepPlan> plan_;
};

template <class Take>
Status Upload::each(std::string_view lines, const Take& take) const {
  size_t number = 1;  // the head was the first
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    ++number;
    if (line.empty()) continue;
    auto item = read_item(line);
    if (!item) return error(item.error().kind, "line {}: {}", number, item.error().message);
    TRY(take(std::move(*item)));
  }
  return {};
}

Result<json::object> Upload::submit(std::string_view items) {
  const auto count = static_cast<uint64_t>(std::ranges::count(items, '\n')) + 1;
  auto space = disk::reserve(batch_.folder(), expected_bytes(count, items.size()), "batch job " + key_);
  if (!space) return space.error();
  const batch::JobInfo info{.key = key_,
                            .owner = owner_,
                            .name = compiled_->workflow.name,
                            .spec = json::serialize(batch::to_json(compiled_->workflow)),
                            .info = "{}"};
  batch::Queue& queue = batch_.queue();
  ASSIGN_OR_RETURN(const batch::Queue::Submitted begun, queue.begin_job(info));
  if (!begun.existed) {
    std::vector<batch::NewItem> some;
    const auto flush = [&]() -> Status {
      const Status added = queue.add_items(begun.job, some, plan_);
      some.clear();
      return added;
    };
    Status done = each(items, [&](batch::NewItem item) -> Status {
      some.push_back(std::move(item));
      return some.size() < kItems_at_once ? Status() : flush();
    });
    if (done && !some.empty()) done = flush();
    if (done) done = queue.release_job(begun.job);
    if (!done) {
      (void)queue.forget_job(begun.job);
      return done.error();
    }
    batch_.wake();
  }
  ASSIGN_OR_RETURN(const batch::JobInfo job, queue.job(begun.job));
  ASSIGN_OR_RETURN(json::object report, job_report(batch_, job));
  report["attached"] = begun.existed;
  return report;
}

batch::Claimed Upload::claimed(const batch::NewItem& item, size_t step) const {
  batch::Claimed one;
  one.name = plan_[step].name;
  one.model = plan_[step].model;
  one.item_key = item.key;
  one.item_data = item.data;
  return one;
}

// Whether the server takes it; notes how long the longest prompt of each step is.
Status Upload::check_request(const batch::Request& request, const std::string& item, const std::string& step,
                             json::object& largest) const {
  api::Blame blame;
  ASSIGN_OR_RETURN(api::openai::Ask ask, api::openai::decode_chat(request.body, &blame));
  const auto prompt = batch_.service().render(ask.requests.front());
  if (!prompt) return {};  // what is wrong with the model itself is told when it is loaded
  const auto tokens = static_cast<int64_t>(prompt->tokens.size());
  const auto context = static_cast<int64_t>(batch_.service().context_tokens(request.model));
  if (context > 0 && tokens >= context)
    return error(ErrorKind::kUsage,
                 "the prompt has {} tokens, and {} has a context of {}; shorten it, or raise the server's context",
                 tokens, request.model, context);
  json::value& known = largest[step];
  if (known.is_object() && known.get_object()["tokens"].as_int64() >= tokens) return {};
  known = json::object{{"tokens", tokens}, {"context", context}, {"item", item}};
  return {};
}

// Renders every template with an item; what other steps say is not known yet.
Status Upload::check_sample(const batch::NewItem& item, json::object& largest) {
  for (size_t i = 0; i < plan_.size(); ++i) {
    batch::Claimed step = claimed(item, i);
    for (const size_t needed : plan_[i].needs)
      step.needs[plan_[needed].name] = R"({"text":"...","json":{},"finish_reason":"stop","usage":null,"error":null})";
    const auto prepared = batch::prepare(*compiled_, key_, step, "");
    // A step that reads into another's JSON can be rendered only once that is there.
    const bool reads_ahead =
        !prepared && !plan_[i].needs.empty() && prepared.error().message.find("attribute") != std::string::npos;
    if (reads_ahead) continue;
    if (!prepared)
      return error(ErrorKind::kUsage, "item \"{}\", step \"{}\": {}", item.key, step.name, prepared.error().message);
    for (const batch::Request& request : prepared->requests) {
      const Status fits = check_request(request, item.key, step.name, largest);
      if (!fits)
        return error(ErrorKind::kUsage, "item \"{}\", step \"{}\": {}", item.key, step.name, fits.error().message);
    }
    if (json::value* known = largest.if_contains(step.name))
      known->get_object()["more"] = !plan_[i].needs.empty();  // what other steps will say
  }
  return {};
}

Result<json::object> Upload::plan(std::string_view items) {
  std::optional<batch::NewItem> first, longest;
  int64_t count = 0;
  const Status read = each(items, [&](batch::NewItem item) -> Status {
    ++count;
    if (!first) first = item;
    if (!longest || item.data.size() > longest->data.size()) longest = std::move(item);
    return {};
  });
  if (!read) return read.error();
  if (count == 0) return error(ErrorKind::kUsage, "there are no items");
  json::object largest;
  for (const auto& sample : {first, longest}) TRY(check_sample(*sample, largest));
  std::map<std::string, int64_t> steps;
  size_t loads = 0;
  const std::string* before = nullptr;
  for (const batch::StepPlan& one : plan_) {
    steps[one.model] += count;
    loads += before == nullptr || *before != one.model;
    before = &one.model;
  }
  return json::object{{"items", count},
                      {"steps", count * static_cast<int64_t>(plan_.size())},
                      {"loads", loads},
                      {"left_s", to_json(forecast(batch_, steps))},
                      {"largest", std::move(largest)}};
}

Result<json::object> Upload::diff(std::string_view items) {
  std::vector<int64_t> known(plan_.size(), 0);
  int64_t count = 0;
  const Status read = each(items, [&](const batch::NewItem& item) -> Status {
    ++count;
    std::vector<std::string> outputs(plan_.size());
    for (size_t i = 0; i < plan_.size(); ++i) {
      batch::Claimed step = claimed(item, i);
      bool ready = true;
      for (const size_t needed : plan_[i].needs) {
        ready = ready && !outputs[needed].empty();
        step.needs[plan_[needed].name] = outputs[needed];
      }
      if (!ready) continue;
      const auto prepared = batch::prepare(*compiled_, key_, step, "");
      if (!prepared || prepared->cache_key.empty()) continue;
      ASSIGN_OR_RETURN(const auto output, batch_.queue().cached(owner_, prepared->cache_key));
      if (!output) continue;
      outputs[i] = *output;
      ++known[i];
    }
    return {};
  });
  if (!read) return read.error();
  json::array steps;
  for (size_t i = 0; i < plan_.size(); ++i)
    steps.push_back({{"name", plan_[i].name}, {"known", known[i]}, {"to_do", count - known[i]}});
  return json::object{{"items", count}, {"steps", std::move(steps)}};
}

}  // namespace

Result<json::object> take_upload(BatchWork& batch, const api::Caller& caller, const std::string& key,
                                 std::string_view lines, UploadUse use) {
  const size_t end = std::min(lines.find('\n'), lines.size());
  Upload upload(batch, caller, key);
  const Status head = upload.read_head(lines.substr(0, end));
  if (!head) return head.error();
  lines.remove_prefix(std::min(end + 1, lines.size()));
  if (use == UploadUse::kDiff) return upload.diff(lines);
  ASSIGN_OR_RETURN(json::object plan, upload.plan(lines));
  if (use == UploadUse::kPlan) return plan;
  return upload.submit(lines);
}

}  // namespace hearth::serve
