#include "api/deliver.h"

#include "chat/collector.h"

namespace hearth::api {
namespace {

using Kind = chat::Delta::Kind;

class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  Delivery(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<AnswerWriter> writer, bool stream)
      : exchange_(std::move(exchange)), writer_(std::move(writer)), streams_(stream) {}

  void take(const AnswerEvent& event) {
    const std::lock_guard lock(mutex_);
    if (event.end && event.end->error && !accepted_ && !event.accepted) {
      return exchange_->send(writer_->failure(*event.end->error));
    }
    accepted_ = accepted_ || event.accepted;
    if (streams_) return take_piece(event);
    for (const chat::Delta& delta : event.deltas) collector_.add(delta);
    answer_.tokens.insert(answer_.tokens.end(), event.tokens.begin(), event.tokens.end());
    if (!event.end) return;
    if (event.end->error) return exchange_->send(writer_->failure(*event.end->error));
    answer_.message = collector_.message();
    answer_.end = *event.end;
    exchange_->send(writer_->whole(answer_));
  }

 private:
  void take_piece(const AnswerEvent& event) {
    if (!std::exchange(started_, true)) {
      exchange_->start(writer_->head(), writer_->ping());
      exchange_->write(writer_->begin());
    }
    join(waiting_, event);
    if (waits_) return;
    if (!exchange_->full() || event.end) return write();
    waits_ = true;
    exchange_->on_drained([self = shared_from_this()] {
      const std::lock_guard lock(self->mutex_);
      self->waits_ = false;
      self->write();
    });
  }

  void write() {
    const AnswerEvent event = std::exchange(waiting_, {});
    if (event.deltas.empty() && event.tokens.empty() && !event.end) return;
    exchange_->write(writer_->pieces(event));
    if (event.end) exchange_->finish();
  }

  const std::shared_ptr<http::Exchange> exchange_;
  const std::shared_ptr<AnswerWriter> writer_;
  const bool streams_;

  std::mutex mutex_;
  bool accepted_ = false, started_ = false, waits_ = false;
  AnswerEvent waiting_;
  chat::Collector collector_;
  WholeAnswer answer_;
};

bool continues(const chat::Delta& before, const chat::Delta& after) {
  return before.kind == after.kind && before.index == after.index &&
         (after.kind == Kind::kReasoning || after.kind == Kind::kContent || after.kind == Kind::kArguments);
}

}  // namespace

void join(AnswerEvent& event, const AnswerEvent& more) {
  event.accepted = event.accepted || more.accepted;
  for (const chat::Delta& delta : more.deltas) {
    if (!event.deltas.empty() && continues(event.deltas.back(), delta)) {
      event.deltas.back().text += delta.text;
    } else {
      event.deltas.push_back(delta);
    }
  }
  event.tokens.insert(event.tokens.end(), more.tokens.begin(), more.tokens.end());
  if (more.end) event.end = more.end;
}

void CancelSlot::set(Cancel cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!fired_) {
      cancel_ = std::move(cancel);
      return;
    }
  }
  if (cancel) cancel();
}

void CancelSlot::fire() {
  Cancel cancel;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(fired_, true)) return;
    cancel = std::move(cancel_);
  }
  if (cancel) cancel();
}

void deliver(const Service& service, AnswerRequest request, std::shared_ptr<http::Exchange> exchange,
             std::shared_ptr<AnswerWriter> writer, bool stream) {
  const auto slot = std::make_shared<CancelSlot>();
  exchange->on_gone([slot] { slot->fire(); });
  const auto delivery = std::make_shared<Delivery>(std::move(exchange), std::move(writer), stream);
  slot->set(service.answer(std::move(request), [delivery](const AnswerEvent& event) { delivery->take(event); }));
}

}  // namespace hearth::api
