#include "cli/generate.h"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "cli/signals.h"

namespace hearth::cli {
namespace {

// From the engine's thread, which must not wait, to ours, which writes to a terminal that may.
class Events {
 public:
  void push(const engine::Event& event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    }
    arrived_.notify_one();
  }
  // Nothing after a while without one: a signal handler cannot wake us, so we look now and then.
  std::optional<engine::Event> pop() {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::milliseconds(20), [&] { return !events_.empty(); });
    if (events_.empty()) return std::nullopt;
    engine::Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<engine::Event> events_;
};

}  // namespace

Result<Completion> generate(engine::Engine& engine, engine::Request request,
                            const std::function<Status(const engine::Event&)>& show) {
  const auto events = std::make_shared<Events>();
  ASSIGN_OR_RETURN(const engine::RequestId id,
                   engine.submit(std::move(request), [events](const engine::Event& e) { events->push(e); }));
  Completion completion{};
  Status shown;
  bool stopped = false;
  while (true) {
    const std::optional<engine::Event> event = events->pop();
    if (!stopped && interrupted()) {
      engine.cancel(id);
      stopped = true;
    }
    if (!event) continue;
    if (!stopped && !event->error) {
      completion.text += event->text;
      shown = show(*event);
      if (!shown) {
        engine.cancel(id);
        stopped = true;
      }
    }
    if (!event->finish) continue;
    if (!interrupted()) TRY(shown);  // else it may have failed because of that
    if (event->error) return *event->error;
    completion.finish = *event->finish;
    completion.usage = event->usage;
    return completion;
  }
}

}  // namespace hearth::cli
