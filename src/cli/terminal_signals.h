// What a program that has changed its terminal's modes must do when it is stopped, continued, resized or ends badly.
#pragma once

#include <string>

namespace hearth::cli {

// While one exists, SIGTSTP, SIGCONT and SIGWINCH are noted and make fd() readable, and signals that end the process at
// once (SIGABRT, SIGSEGV, ...) put the terminal back first. Signals that somebody else handles or ignores are left to
// them. Not to be nested.
class TerminalSignals {
 public:
  // `out`: where the terminal is written to; `restore`: what is written to it before the process dies, beside the modes
  // that it has now.
  TerminalSignals(int out, std::string restore);
  ~TerminalSignals();
  TerminalSignals(const TerminalSignals&) = delete;
  TerminalSignals& operator=(const TerminalSignals&) = delete;

  int fd() const;
  struct Noted {
    bool stop = false, continued = false, resized = false;
  };
  Noted take();
  // Stops the process as SIGTSTP does without a handler; returns when it goes on.
  void stop();
};

}  // namespace hearth::cli
