// Between who answers a request, on any thread, and the connection that sends the answer: what is written is gathered
// here until the connection can take it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace hearth::http {

class Outbox {
 public:
  // `wake` lets the connection call take() soon, on its own strand; any thread may call it.
  Outbox(std::function<void()> wake, size_t most_unsent_bytes)
      : wake_(std::move(wake)), most_unsent_bytes_(most_unsent_bytes) {}

  // What the exchange's functions do; any thread.
  void send(Response response);
  void start(ResponseHead head, Ping ping);
  void write(std::string_view bytes);
  void finish();
  void abort();
  bool full() const;
  void on_drained(std::function<void()> call);
  bool gone() const;
  void on_gone(std::function<void()> call);
  // The exchange's last reference goes. `response` is the answer if there is none yet.
  void abandon(const std::function<Response()>& response);

  // What the connection does; its strand.
  struct Batch {
    std::optional<ResponseHead> head;  // with the first batch
    bool whole = false;                // with the head: `bytes` are all of the body
    Ping ping;                         // with the head
    std::string bytes;
    bool last = false, aborted = false;
  };
  // What there is to send; nothing if there is nothing new.
  std::optional<Batch> take();
  void sent();  // all that was taken
  void set_gone();

 private:
  enum class Stage { kOpen, kStreaming, kComplete, kAborted };
  bool is_full() const { return unsent_.size() + taken_bytes_ > most_unsent_bytes_; }
  void end(Stage stage);
  void wake(bool needed) const {
    if (needed) wake_();
  }
  bool ask_to_wake();

  const std::function<void()> wake_;
  const size_t most_unsent_bytes_;

  mutable std::mutex mutex_;
  Stage stage_ = Stage::kOpen;
  std::optional<ResponseHead> head_;
  Ping ping_;
  std::string unsent_;
  size_t taken_bytes_ = 0;
  bool whole_ = false, woken_ = false, end_taken_ = false, gone_ = false;
  std::vector<std::function<void()>> on_gone_, on_drained_;
};

// The exchange that belongs to an outbox.
std::shared_ptr<Exchange> make_exchange(std::shared_ptr<Outbox> outbox, std::function<Response()> unanswered);

}  // namespace hearth::http
