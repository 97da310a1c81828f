#include "serve/inside.h"

#include <mutex>
#include <vector>

#include "base/random.h"

namespace hearth::serve {
namespace {

class Inside : public http::Exchange {
 public:
  explicit Inside(std::function<void(InsideReply)> done) : done_(std::move(done)) {}
  ~Inside() override { end({}); }

  void send(http::Response response) override { end({response.head.status, std::move(response.body)}); }
  void start(http::ResponseHead head, http::Ping) override {
    const std::lock_guard lock(mutex_);
    reply_.status = head.status;
  }
  void write(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    reply_.body += bytes;
  }
  void finish() override {
    InsideReply reply;
    {
      const std::lock_guard lock(mutex_);
      reply = std::move(reply_);
    }
    end(std::move(reply));
  }
  void abort() override { end({}); }
  bool full() const override { return false; }
  void on_drained(std::function<void()> call) override { call(); }
  bool gone() const override {
    const std::lock_guard lock(mutex_);
    return gone_;
  }
  void on_gone(std::function<void()> call) override {
    {
      const std::lock_guard lock(mutex_);
      if (!done_) return;
      if (!gone_) return calls_.push_back(std::move(call));
    }
    call();
  }

  void cancel() {
    std::vector<std::function<void()>> calls;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      calls.swap(calls_);
    }
    for (const auto& call : calls) call();
  }

 private:
  void end(InsideReply reply) {
    std::function<void(InsideReply)> done;
    std::vector<std::function<void()>> calls;  // what they keep goes outside the lock
    {
      const std::lock_guard lock(mutex_);
      done.swap(done_);
      calls.swap(calls_);
    }
    if (done) done(std::move(reply));
  }

  mutable std::mutex mutex_;
  std::function<void(InsideReply)> done_;  // empty: it was answered
  std::vector<std::function<void()>> calls_;
  InsideReply reply_;
  bool gone_ = false;
};

}  // namespace

std::function<void()> ask_inside(const api::Router& router, const std::string& method, const std::string& path,
                                 std::string body, api::Caller caller, std::function<void(InsideReply)> done) {
  const auto exchange = std::make_shared<Inside>(std::move(done));
  api::Call call;
  call.request.head.id = random_hex(32);
  call.request.head.method = method;
  call.request.head.path = path;
  call.request.head.headers.add("Content-Type", "application/json");
  call.request.body = http::Body(std::move(body));
  const api::Router::Match match = router.find(call.request.head);
  if (match.route == nullptr) {
    exchange->send(router.problem(call.request.head, match.status, api::kNo_route));
    return {};
  }
  call.exchange = exchange;
  call.rest = match.rest;
  call.caller = std::move(caller);
  match.route->run(std::move(call));
  return [weak = std::weak_ptr<Inside>(exchange)] {
    if (const auto running = weak.lock()) running->cancel();
  };
}

}  // namespace hearth::serve
