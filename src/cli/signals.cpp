#include "cli/signals.h"

#include <csignal>

#include <atomic>

namespace hearth::cli {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free);

void note(int signal) {
  if (received.exchange(signal) != 0) {  // the second
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

// Leaves a signal alone that our parent has us ignore (a shell does that for SIGINT in background jobs).
void handle_with(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);  // and no SA_RESTART: blocking calls must return
  action.sa_flags = SA_NODEFER;  // the second signal may end the process from inside the handler
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction present {};
    ::sigaction(signal, nullptr, &present);
    if (present.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

InterruptScope::InterruptScope() {
  received = 0;
  handle_with(note);
}

InterruptScope::~InterruptScope() {
  handle_with(SIG_DFL);
  if (const int signal = received.exchange(0); signal != 0) std::raise(signal);
}

bool interrupted() { return received != 0; }

bool take_interrupt() {
  int expected = SIGINT;
  return received.compare_exchange_strong(expected, 0);
}

}  // namespace hearth::cli
