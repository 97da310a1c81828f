#include "base/file_guard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>

namespace hearth {

// What the signal handler reads: atomic numbers only. A guard is free where `end` is 0; `begin` is written before
// `end`, so that the handler never sees a range with a wrong beginning.
struct FileGuard {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> broken{false};
};

namespace {

static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

constexpr size_t kMost_guards = 4096;  // a model of many parts has one per part

std::array<FileGuard, kMost_guards> guards;
std::mutex guards_mutex;  // of those who take and return guards; the handler does not need it
struct sigaction previous {};

FileGuard* find_guard(uintptr_t address) {
  for (FileGuard& guard : guards) {
    const uintptr_t end = guard.end;
    if (address < end && address >= guard.begin) return &guard;
  }
  return nullptr;
}

// What would have happened without us. Returning to the instruction that failed repeats the signal.
void pass_on(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  if (info->si_code <= 0) ::raise(signal);  // sent by a program: nothing would repeat it
}

// Everything here may be called in a signal handler: mmap is a bare system call.
void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  FileGuard* guard = info->si_code > 0 ? find_guard(reinterpret_cast<uintptr_t>(info->si_addr)) : nullptr;
  if (guard == nullptr) return pass_on(signal, info, context);
  guard->broken = true;
  void* begin = reinterpret_cast<void*>(guard->begin.load());
  const size_t size = guard->end - guard->begin;
  if (::mmap(begin, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
    pass_on(signal, info, context);
  errno = error;
}

void install_handler() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, &previous);
}

}  // namespace

FileGuard* guard_mapping(void* data, size_t size) {
  static std::once_flag once;
  std::call_once(once, install_handler);
  const std::lock_guard lock(guards_mutex);
  for (FileGuard& guard : guards) {
    if (guard.end != 0) continue;
    guard.broken = false;
    guard.begin = reinterpret_cast<uintptr_t>(data);
    guard.end = reinterpret_cast<uintptr_t>(data) + size;
    return &guard;
  }
  return nullptr;
}

bool is_broken(const FileGuard& guard) {
  return guard.broken;
}

void end_guard(FileGuard* guard) {
  const std::lock_guard lock(guards_mutex);
  guard->end = 0;
}

}  // namespace hearth
