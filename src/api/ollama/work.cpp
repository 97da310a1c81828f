#include "api/ollama/work.h"

#include <boost/json.hpp>
#include <mutex>

#include "api/deliver.h"
#include "api/ollama/encode.h"

namespace hearth::api::ollama {
namespace {

namespace json = boost::json;

constexpr auto kBetween_counts = std::chrono::milliseconds(60);  // as often as Ollama counts

std::string line(const WorkStep& step) {
  json::object object{{"status", step.status}};
  if (!step.digest.empty()) object["digest"] = step.digest;
  if (step.total != 0) object["total"] = step.total;
  if (step.done != 0) object["completed"] = step.done;
  return json::serialize(object) + "\n";
}

class Reply {
 public:
  Reply(std::shared_ptr<http::Exchange> exchange, bool stream, unsigned (*status_for)(ErrorKind kind))
      : exchange_(std::move(exchange)), stream_(stream), status_for_(status_for) {}

  void step(const WorkStep& step) {
    if (!stream_) return;
    const auto now = std::chrono::steady_clock::now();
    const bool counts = step.total != 0 && step.done < step.total && step.status == last_status_;
    // A client that reads slowly misses some counts, no status.
    if (counts && (now - last_ < kBetween_counts || exchange_->full())) return;
    last_ = now;
    last_status_ = step.status;
    write(line(step));
  }

  void done(const Status& status) {
    if (!started_ && !status) {
      return exchange_->send(problem(status_for_(status.error().kind), status.error().message));
    }
    if (!stream_) return exchange_->send(json_response(R"({"status":"success"})"));
    write(status ? line({.status = "success"})
                 : json::serialize(json::object{{"error", status.error().message}}) + "\n");
    exchange_->finish();
  }

 private:
  void write(const std::string& text) {
    if (!started_) exchange_->start({.status = 200, .headers = {{"Content-Type", "application/x-ndjson"}}});
    started_ = true;
    exchange_->write(text);
  }

  const std::shared_ptr<http::Exchange> exchange_;
  const bool stream_;
  unsigned (*const status_for_)(ErrorKind kind);  // of an error
  bool started_ = false;
  std::chrono::steady_clock::time_point last_{};
  std::string last_status_;
};

}  // namespace

WorkSinks reply_with_steps(const Call& call, bool stream, unsigned (*status_for)(ErrorKind kind)) {
  const auto reply = std::make_shared<Reply>(call.exchange, stream, status_for);
  return {.step = [reply](const WorkStep& step) { reply->step(step); },
          .done = [reply](const Status& status) { reply->done(status); }};
}

void run_work(const Call& call, const std::function<Cancel()>& start) {
  const auto slot = std::make_shared<CancelSlot>();
  call.exchange->on_gone([slot] { slot->fire(); });
  slot->set(start());
}

}  // namespace hearth::api::ollama
