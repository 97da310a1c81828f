// SIGINT (Ctrl-C) and SIGTERM. By default they end the process at once, as in every Unix program. A command
// that must tidy up first holds an InterruptScope.
#pragma once

namespace hearth::cli {

// A reader that goes away shows as a failed write (see print()), not as a signal.
void ignore_broken_pipes();

// While one exists, the first SIGINT or SIGTERM only makes interrupted() true and ends wait_readable(); the second ends
// the process at once. When it ends, what was received before is delivered, so the process dies of the signal as its
// parent expects, unless take_interrupt() took it. Not to be nested.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

// Whether a signal arrived in the present InterruptScope. Safe on every thread.
bool interrupted();
// Forgets a SIGINT (and arms the scope again); false if none had arrived. SIGTERM cannot be taken.
bool take_interrupt();
// Waits until `fd` can be read (or is at its end): true. False once interrupted().
bool wait_readable(int fd);

}  // namespace hearth::cli
