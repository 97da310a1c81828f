// One answer of an engine, streamed to the calling thread.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "engine/engine.h"

namespace hearth::cli {

// What was generated after a prompt.
struct Completion {
  std::string text;
  engine::FinishReason finish;
  engine::Usage usage;
};

// Submits and waits; `show` gets every event but an error's. If show() fails, or once interrupted(), the request is
// cancelled, waited for, and not shown any more. Errors: those of submit() and show(), and the engine's.
Result<Completion> generate(engine::Engine& engine, engine::Request request,
                            const std::function<Status(const engine::Event&)>& show);

}  // namespace hearth::cli
