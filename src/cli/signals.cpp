#include "cli/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace hearth::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};

std::atomic<int> received{0};
// An event counter that the handler raises. A signal may come just before a blocking call, or on another
// thread, so it could not end that call; this can.
std::atomic<int> wake{-1};
static_assert(std::atomic<int>::is_always_lock_free);

void note(int signal) {
  if (received.exchange(signal) != 0) {  // the second
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  const int error = errno;
  const uint64_t one = 1;
  if (::write(wake, &one, sizeof one) < 0) errno = error;
}

// Leaves a signal alone that our parent has us ignore (a shell does that for SIGINT in background jobs).
void handle_with(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_NODEFER;  // the second signal may end the process from inside the handler
  for (const int signal : kSignals) {
    struct sigaction present {};
    ::sigaction(signal, nullptr, &present);
    if (present.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace

void let_writes_fail() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

InterruptScope::InterruptScope() {
  received = 0;
  wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  handle_with(note);
}

InterruptScope::~InterruptScope() {
  handle_with(SIG_DFL);
  ::close(wake.exchange(-1));
  if (const int signal = received.exchange(0); signal != 0) std::raise(signal);
}

namespace {

sigset_t queued_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kSignals) {
    struct sigaction present {};
    ::sigaction(signal, nullptr, &present);
    if (signal == SIGHUP || present.sa_handler != SIG_IGN) sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

SignalQueue::SignalQueue() {
  const sigset_t set = queued_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int SignalQueue::next(std::chrono::milliseconds most) {
  const sigset_t set = queued_signals();
  const timespec time{most.count() / 1000, most.count() % 1000 * 1'000'000};
  const int signal = ::sigtimedwait(&set, nullptr, &time);
  return std::max(signal, 0);
}

void SignalQueue::release() {
  const sigset_t set = queued_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool interrupted() {
  return received != 0;
}

bool take_interrupt() {
  int expected = SIGINT;
  return received.compare_exchange_strong(expected, 0);
}

bool wait_readable(int fd) {
  while (!interrupted()) {
    pollfd fds[2] = {{fd, POLLIN, 0}, {wake, POLLIN, 0}};
    if (::poll(fds, 2, -1) <= 0) continue;
    if (fds[1].revents != 0) {  // of this interrupt, or of one that was taken
      uint64_t count = 0;
      if (::read(wake, &count, sizeof count) < 0 && errno != EAGAIN) return false;
    } else if (fds[0].revents != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace hearth::cli
