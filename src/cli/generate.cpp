#include "cli/generate.h"

#include "cli/signals.h"
#include "engine/event_queue.h"

namespace hearth::cli {
namespace {

constexpr std::chrono::milliseconds kLook(20);  // a signal handler cannot wake us, so we look now and then

}  // namespace

Result<Completion> generate(engine::Engine& engine, engine::Request request,
                            const std::function<Status(const engine::Event&)>& show) {
  engine::EventQueue events;
  ASSIGN_OR_RETURN(const engine::RequestId id, engine.submit(std::move(request), events.sink()));
  Completion completion{};
  Status shown;
  bool stopped = false;
  while (true) {
    const std::optional<engine::Event> event = events.pop(kLook);
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
