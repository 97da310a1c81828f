#include "engine/event_queue.h"

#include <iterator>
#include <stdexcept>

namespace hearth::engine {
namespace {

template <class T>
void move_to_end(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

void append(Event& event, Event&& next) {
  event.text += next.text;
  move_to_end(event.tokens, std::move(next.tokens));
  move_to_end(event.choices, std::move(next.choices));
  event.finish = next.finish;
  event.stop = std::move(next.stop);
  if (next.usage.prompt_tokens > 0) event.usage = next.usage;
  event.error = std::move(next.error);
}

size_t bytes(const Event& event) {
  size_t sum = sizeof(Event) + event.text.size() + event.tokens.size() * sizeof(text::Token);
  for (const sampling::Choice& choice : event.choices)
    sum += sizeof(choice) + choice.most_likely.size() * sizeof(sampling::TokenLogprob);
  return sum;
}

EventSink EventQueue::sink() const {
  return [state = state_](const Event& event) {
    {
      const std::lock_guard lock(state->mutex);
      if (!state->waiting)
        state->waiting = event;
      else
        append(*state->waiting, Event(event));
      if (!event.finish && bytes(*state->waiting) > kMost_waiting_bytes)
        throw std::runtime_error("too much of an answer waits for its reader");
    }
    state->arrived.notify_one();
  };
}

std::optional<Event> EventQueue::pop(std::chrono::milliseconds most) {
  std::unique_lock lock(state_->mutex);
  state_->arrived.wait_for(lock, most, [&] { return state_->waiting.has_value(); });
  std::optional<Event> event = std::move(state_->waiting);
  state_->waiting.reset();
  return event;
}

}  // namespace hearth::engine
