#include "api/deliver.h"

#include "chat/collector.h"

namespace hearth::api {
namespace {

using Kind = chat::Delta::Kind;

bool continues(const chat::Delta& before, const chat::Delta& after) {
  return before.kind == after.kind && before.index == after.index &&
         (after.kind == Kind::kReasoning || after.kind == Kind::kContent || after.kind == Kind::kArguments);
}

// Neighbours of one kind become one.
void add(std::vector<chat::Delta>& deltas, const chat::Delta& more) {
  if (!deltas.empty() && continues(deltas.back(), more))
    deltas.back().text += more.text;
  else
    deltas.push_back(more);
}

bool has_content(const AnswerEvent& event) {
  return !event.deltas.empty() || !event.tokens.empty() || event.end;
}

class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  Delivery(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<AnswerWriter> writer, bool stream,
           const std::vector<AnswerRequest>& requests)
      : exchange_(std::move(exchange)),
        writer_(std::move(writer)),
        streams_(stream),
        cancels_(requests.size()),
        unaccepted_(requests.size()) {
    for (const AnswerRequest& request : requests) {
      first_.push_back(choices_.size());
      choices_.resize(choices_.size() + request.count);
    }
    unended_ = choices_.size();
  }

  void set_cancel(size_t request, Cancel cancel) { cancels_[request].set(std::move(cancel)); }
  void cancel() {
    for (CancelSlot& slot : cancels_) slot.fire();
  }

  void take(size_t request, AnswerEvent event) {
    bool failed = false;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      event.choice += static_cast<uint32_t>(first_[request]);
      if (event.end && event.end->error && (!started_ || !streams_)) {
        over_ = failed = true;
        exchange_->send(writer_->failure(*event.end));
      } else {
        if (std::exchange(event.accepted, false)) accept(event);
        failed = event.end && event.end->error;
        join(choices_[event.choice].waiting, event);
        streams_ ? stream() : collect(event);
        over_ = over_ || failed;
      }
    }
    if (failed) cancel();
  }

 private:
  struct Choice {
    AnswerEvent waiting;
    chat::Collector collector = {};
    WholeAnswer answer = {};
  };

  void accept(AnswerEvent& event) {
    warnings_.insert(warnings_.end(), event.warnings.begin(), event.warnings.end());
    if (unaccepted_ > 0) --unaccepted_;
  }

  void collect(const AnswerEvent& event) {
    Choice& choice = choices_[event.choice];
    for (const chat::Delta& delta : event.deltas) {
      choice.collector.add(delta);
      add(choice.answer.deltas, delta);
    }
    choice.answer.tokens.insert(choice.answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    choice.waiting = {};
    if (!event.end) return;
    choice.answer.message = choice.collector.message();
    choice.answer.end = *event.end;
    if (--unended_ > 0) return;
    std::vector<WholeAnswer> answers;
    for (Choice& each : choices_) answers.push_back(std::move(each.answer));
    exchange_->send(writer_->whole(answers, warnings_));
  }

  // Nothing goes out before all requests are accepted: one may still be refused.
  void stream() {
    if (unaccepted_ > 0 || waits_) return;
    const auto ready = [](const Choice& choice) { return has_content(choice.waiting); };
    const bool content = std::any_of(choices_.begin(), choices_.end(), ready);
    if (!started_ && !content && !writer_->starts_early()) return;
    if (!std::exchange(started_, true)) {
      exchange_->start(writer_->head(warnings_), writer_->ping());
      exchange_->write(writer_->begin());
    }
    const auto ends = [](const Choice& choice) { return choice.waiting.end.has_value(); };
    if (!exchange_->full() || std::any_of(choices_.begin(), choices_.end(), ends)) return write();
    waits_ = true;
    exchange_->on_drained([self = shared_from_this()] {
      const std::lock_guard lock(self->mutex_);
      self->waits_ = false;
      self->write();
    });
  }

  void write() {
    for (size_t i = 0; i < choices_.size(); ++i) {
      AnswerEvent event = std::exchange(choices_[i].waiting, {});
      event.choice = static_cast<uint32_t>(i);
      if (!has_content(event) && !event.begin) continue;
      exchange_->write(writer_->pieces(event));
      if (!event.end) continue;
      if (event.end->error) return exchange_->finish();
      if (--unended_ > 0) continue;
      exchange_->write(writer_->close());
      exchange_->finish();
    }
  }

  const std::shared_ptr<http::Exchange> exchange_;
  const std::shared_ptr<AnswerWriter> writer_;
  const bool streams_;
  std::vector<size_t> first_;  // number of each request's first answer
  std::vector<CancelSlot> cancels_;

  std::mutex mutex_;
  size_t unaccepted_, unended_ = 0;
  bool started_ = false, waits_ = false, over_ = false;
  std::vector<std::string> warnings_;
  std::vector<Choice> choices_;
};

}  // namespace

void join(AnswerEvent& event, const AnswerEvent& more) {
  event.accepted = event.accepted || more.accepted;
  event.choice = more.choice;
  if (more.begin) event.begin = more.begin;
  for (const chat::Delta& delta : more.deltas) add(event.deltas, delta);
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

void deliver(const Service& service, std::vector<AnswerRequest> requests, std::shared_ptr<http::Exchange> exchange,
             std::shared_ptr<AnswerWriter> writer, bool stream) {
  const auto delivery = std::make_shared<Delivery>(exchange, std::move(writer), stream, requests);
  // Not the delivery itself, which holds the exchange.
  exchange->on_gone([weak = std::weak_ptr(delivery)] {
    if (const auto held = weak.lock()) held->cancel();
  });
  for (size_t i = 0; i < requests.size(); ++i) {
    delivery->set_cancel(i, service.answer(std::move(requests[i]),
                                           [delivery, i](const AnswerEvent& event) { delivery->take(i, event); }));
  }
}

}  // namespace hearth::api
