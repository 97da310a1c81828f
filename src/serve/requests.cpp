#include "serve/requests.h"

#include <boost/json.hpp>

#include "api/reply.h"
#include "base/error.h"

namespace hearth::serve {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

class Requests::Entry {
 public:
  explicit Entry(const api::AnswerRequest& request)
      : left_(std::max(1u, request.count)), user_(request.caller.user), model_(request.model) {}

  void take(const api::AnswerEvent& event) {
    const std::lock_guard lock(mutex_);
    accepted_ = accepted_ || event.accepted;
    pieces_ += event.deltas.size();
    if (event.begin) {
      prompt_tokens_ = event.begin->prompt_tokens;
      if (!event.begin->model.empty()) model_ = event.begin->model;
      begun_ = begun_ || event.begin->cached_tokens.has_value();
    }
    begun_ = begun_ || !event.deltas.empty();
    if (event.end) left_ = accepted_ ? left_ - 1 : 0;  // a refusal ends them all
  }
  void set_cancel(api::Cancel cancel) {
    const std::lock_guard lock(mutex_);
    cancel_ = std::move(cancel);
  }
  // Nothing to cancel: it has ended.
  api::Cancel cancel() const {
    const std::lock_guard lock(mutex_);
    return left_ > 0 ? cancel_ : api::Cancel();
  }
  std::optional<metrics::RequestFigures> figures(uint64_t number) const {
    const std::lock_guard lock(mutex_);
    if (left_ == 0) return std::nullopt;
    const double age = std::chrono::duration<double>(Clock::now() - start_).count();
    return metrics::RequestFigures{std::to_string(number), user_,  model_, begun_ ? "running" : "waiting", age,
                                   prompt_tokens_,         pieces_};
  }

 private:
  mutable std::mutex mutex_;
  uint32_t left_;  // answers
  bool accepted_ = false, begun_ = false;
  const std::string user_;
  std::string model_;
  uint32_t prompt_tokens_ = 0;
  uint64_t pieces_ = 0;
  const Clock::time_point start_ = Clock::now();
  api::Cancel cancel_;
};

std::shared_ptr<const api::Service> Requests::watch(std::shared_ptr<const api::Service> service) {
  auto result = std::make_shared<api::Service>(*service);
  if (!service->answer) return result;
  result->answer = [this, service](api::AnswerRequest request, api::AnswerSink sink) {
    const auto entry = std::make_shared<Entry>(request);
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(entries_, [](const auto& one) { return one.second.expired(); });
      entries_.emplace(++last_, entry);
    }
    api::Cancel cancel =
        service->answer(std::move(request), [entry, sink = std::move(sink)](const api::AnswerEvent& event) {
          entry->take(event);
          sink(event);
        });
    entry->set_cancel(cancel);
    return cancel;
  };
  return result;
}

std::vector<metrics::RequestFigures> Requests::list() const {
  std::vector<metrics::RequestFigures> list;
  const std::lock_guard lock(mutex_);
  for (const auto& [number, weak] : entries_)
    if (const auto entry = weak.lock())
      if (auto figures = entry->figures(number)) list.push_back(std::move(*figures));
  return list;
}

Status Requests::cancel(const std::string& id) {
  api::Cancel cancel;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, weak] : entries_)
      if (std::to_string(number) == id)
        if (const auto entry = weak.lock()) cancel = entry->cancel();
  }
  if (!cancel) return error(ErrorKind::kNotFound, "no request {} is being answered", id);
  cancel();
  return {};
}

void add_request_routes(api::Router& router, Requests& requests) {
  router.add({.method = "GET",
              .path = "/hearth/requests",
              .run =
                  [&requests](const api::Call& call) {
                    call.exchange->send({{.status = 200, .headers = {{"Content-Type", "application/json"}}},
                                         metrics::to_json(requests.list())});
                  },
              .role = api::Role::kAdmin});
  router.add({.method = "DELETE",
              .path = "/hearth/requests/*",
              .run =
                  [&requests](const api::Call& call) {
                    const Status done = requests.cancel(call.rest);
                    call.exchange->send(
                        done ? api::json_reply(200, boost::json::object{})
                             : api::json_reply(404, boost::json::object{{"error", done.error().message}}));
                  },
              .role = api::Role::kAdmin});
}

}  // namespace hearth::serve
