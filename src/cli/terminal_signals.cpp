#include "cli/terminal_signals.h"

#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace hearth::cli {
namespace {

constexpr std::array kNoted = {SIGTSTP, SIGCONT, SIGWINCH};
constexpr std::array kDeadly = {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGQUIT, SIGHUP};

std::atomic<bool> stop_noted{false}, continue_noted{false}, resize_noted{false};
std::atomic<int> wake{-1};

// For a handler, which may only read them.
int terminal = -1;
termios modes{};
bool has_modes = false;
std::array<char, 64> last_words{};
size_t last_words_bytes = 0;

std::array<struct sigaction, kNoted.size() + kDeadly.size()> before{};
std::array<bool, kNoted.size() + kDeadly.size()> taken{};

void note(int signal) {
  (signal == SIGTSTP ? stop_noted : signal == SIGCONT ? continue_noted : resize_noted) = true;
  const int error = errno;
  const uint64_t one = 1;
  (void)!::write(wake, &one, sizeof one);
  errno = error;
}

void die(int signal) {
  (void)!::write(terminal, last_words.data(), last_words_bytes);
  if (has_modes) ::tcsetattr(terminal, TCSANOW, &modes);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void handle(size_t slot, int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART | (handler == die ? SA_NODEFER : 0);
  ::sigaction(signal, nullptr, &before[slot]);
  const bool ours = before[slot].sa_handler == SIG_DFL;
  if (ours) ::sigaction(signal, &action, nullptr);
  taken[slot] = ours;
}

}  // namespace

TerminalSignals::TerminalSignals(int out, std::string restore) {
  terminal = out;
  has_modes = ::tcgetattr(out, &modes) == 0;
  last_words_bytes = std::min(restore.size(), last_words.size());
  std::memcpy(last_words.data(), restore.data(), last_words_bytes);
  stop_noted = continue_noted = resize_noted = false;
  wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  size_t slot = 0;
  for (const int signal : kNoted) handle(slot++, signal, note);
  for (const int signal : kDeadly) handle(slot++, signal, die);
}

TerminalSignals::~TerminalSignals() {
  size_t slot = 0;
  const auto give_back = [&](int signal) {
    if (taken[slot]) ::sigaction(signal, &before[slot], nullptr);
    ++slot;
  };
  for (const int signal : kNoted) give_back(signal);
  for (const int signal : kDeadly) give_back(signal);
  ::close(wake.exchange(-1));
}

int TerminalSignals::fd() const {
  return wake;
}

TerminalSignals::Noted TerminalSignals::take() {
  uint64_t count = 0;
  (void)!::read(wake, &count, sizeof count);
  return {stop_noted.exchange(false), continue_noted.exchange(false), resize_noted.exchange(false)};
}

void TerminalSignals::stop() {
  struct sigaction handled {};
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  ::sigaction(SIGTSTP, &plain, &handled);
  std::raise(SIGTSTP);  // returns after SIGCONT
  ::sigaction(SIGTSTP, &handled, nullptr);
}

}  // namespace hearth::cli
