#include "http/outbox.h"

#include <utility>

namespace hearth::http {
namespace {

class OutboxExchange : public Exchange {
 public:
  OutboxExchange(std::shared_ptr<Outbox> outbox, std::function<Response()> unanswered)
      : outbox_(std::move(outbox)), unanswered_(std::move(unanswered)) {}
  ~OutboxExchange() override { outbox_->abandon(unanswered_); }

  void send(Response response) override { outbox_->send(std::move(response)); }
  void start(ResponseHead head, Ping ping) override { outbox_->start(std::move(head), std::move(ping)); }
  void write(std::string_view bytes) override { outbox_->write(bytes); }
  void finish() override { outbox_->finish(); }
  void abort() override { outbox_->abort(); }
  bool full() const override { return outbox_->full(); }
  void on_drained(std::function<void()> call) override { outbox_->on_drained(std::move(call)); }
  bool gone() const override { return outbox_->gone(); }
  void on_gone(std::function<void()> call) override { outbox_->on_gone(std::move(call)); }

 private:
  const std::shared_ptr<Outbox> outbox_;
  const std::function<Response()> unanswered_;
};

}  // namespace

std::shared_ptr<Exchange> make_exchange(std::shared_ptr<Outbox> outbox, std::function<Response()> unanswered) {
  return std::make_shared<OutboxExchange>(std::move(outbox), std::move(unanswered));
}

bool Outbox::ask_to_wake() {
  return !std::exchange(woken_, true);
}

// Callbacks own what they refer to, maybe the exchange itself: with the answer complete nothing needs them.
void Outbox::end(Stage stage) {
  stage_ = stage;
  on_gone_.clear();
  on_drained_.clear();
}

void Outbox::send(Response response) {
  std::unique_lock lock(mutex_);
  if (stage_ != Stage::kOpen) return;
  auto dropped = std::make_pair(std::move(on_gone_), std::move(on_drained_));
  head_ = std::move(response.head);
  unsent_ = std::move(response.body);
  whole_ = true;
  end(Stage::kComplete);
  const bool needed = ask_to_wake();
  lock.unlock();
  wake(needed);
}

void Outbox::start(ResponseHead head, Ping ping) {
  std::unique_lock lock(mutex_);
  if (stage_ != Stage::kOpen) return;
  stage_ = Stage::kStreaming;
  head_ = std::move(head);
  ping_ = std::move(ping);
  const bool needed = ask_to_wake();
  lock.unlock();
  wake(needed);
}

void Outbox::write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (stage_ != Stage::kStreaming || gone_) return;
  unsent_ += bytes;
  const bool needed = ask_to_wake();
  lock.unlock();
  wake(needed);
}

void Outbox::finish() {
  std::unique_lock lock(mutex_);
  if (stage_ != Stage::kStreaming) return;
  auto dropped = std::make_pair(std::move(on_gone_), std::move(on_drained_));
  end(Stage::kComplete);
  const bool needed = ask_to_wake();
  lock.unlock();
  wake(needed);
}

void Outbox::abort() {
  std::unique_lock lock(mutex_);
  if (stage_ == Stage::kComplete || stage_ == Stage::kAborted) return;
  auto dropped = std::make_pair(std::move(on_gone_), std::move(on_drained_));
  end(Stage::kAborted);
  const bool needed = ask_to_wake();
  lock.unlock();
  wake(needed);
}

void Outbox::abandon(const std::function<Response()>& response) {
  bool heard;
  {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::kComplete || stage_ == Stage::kAborted) return;
    heard = stage_ == Stage::kOpen && !gone_;
  }
  if (heard) send(response());
  abort();
}

bool Outbox::full() const {
  const std::lock_guard lock(mutex_);
  return is_full();
}

void Outbox::on_drained(std::function<void()> call) {
  std::unique_lock lock(mutex_);
  if (stage_ == Stage::kComplete || stage_ == Stage::kAborted || gone_) return;
  on_drained_.push_back(std::move(call));
  const bool needed = !is_full() && ask_to_wake();  // take() makes the call then
  lock.unlock();
  wake(needed);
}

bool Outbox::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

void Outbox::on_gone(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::kComplete || stage_ == Stage::kAborted) return;
    if (!gone_) {
      on_gone_.push_back(std::move(call));
      return;
    }
  }
  call();
}

std::optional<Outbox::Batch> Outbox::take() {
  std::vector<std::function<void()>> drained;
  std::optional<Batch> batch;
  {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    if (end_taken_) return std::nullopt;
    end_taken_ = stage_ == Stage::kComplete || stage_ == Stage::kAborted;
    if (!is_full()) drained.swap(on_drained_);
    if (head_ || !unsent_.empty() || end_taken_) {
      batch.emplace();
      batch->head = std::exchange(head_, std::nullopt);
      batch->whole = whole_;
      batch->ping = std::move(ping_);
      batch->bytes = std::exchange(unsent_, {});
      batch->last = stage_ == Stage::kComplete;
      batch->aborted = stage_ == Stage::kAborted;
      taken_bytes_ = batch->bytes.size();
    }
  }
  for (const auto& call : drained) call();
  return batch;
}

void Outbox::sent() {
  const std::lock_guard lock(mutex_);
  taken_bytes_ = 0;
}

void Outbox::set_gone() {
  std::vector<std::function<void()>> calls, dropped;  // may own the exchange: they end without the lock
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(gone_, true)) return;
    calls.swap(on_gone_);
    dropped.swap(on_drained_);
  }
  for (const auto& call : calls) call();
}

}  // namespace hearth::http
