// SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal is gone) and SIGXCPU (ulimit -t). By default they end the process at
// once, as in every Unix program. A command that must tidy up first holds an InterruptScope.
#pragma once

#include <chrono>

namespace hearth::cli {

// A reader that goes away, and a file that reaches the largest size that is allowed (ulimit -f), show as a failed
// write, not as a signal.
void let_writes_fail();

// While one exists, the first of these signals only makes interrupted() true and ends wait_readable(); the second ends
// the process at once. When it ends, what was received before is delivered, so the process dies of the signal as its
// parent expects, unless take_interrupt() took it. Not to be nested.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

// For a server. While one exists, these signals wait until next() takes them; to be made before the threads, which must
// not take them either. Those that our parent has us ignore are ignored, but for SIGHUP.
class SignalQueue {
 public:
  SignalQueue();
  ~SignalQueue() { release(); }
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  // The next one; 0 if none comes in this time.
  int next(std::chrono::milliseconds most);
  // From now on each has its usual effect: it ends the process.
  void release();
};

// Whether a signal arrived in the present InterruptScope. Safe on every thread.
bool interrupted();
// Forgets a SIGINT (and arms the scope again); false if none had arrived. The others cannot be taken.
bool take_interrupt();
// Waits until `fd` can be read (or is at its end): true. False once interrupted(). A negative one never can.
bool wait_readable(int fd);

}  // namespace hearth::cli
