// Sleeping until a number changes: the kernel's futex itself, since std::atomic's wait() lets others have the processor
// several times first, which on a busy one costs a time slice each (futex(2)).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace hearth {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);

// Returns at once if `number` is not `value`; else when woken, or for no reason.
inline void futex_wait(const std::atomic<uint32_t>& number, uint32_t value) {
  ::syscall(SYS_futex, &number, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

inline void futex_wake_all(const std::atomic<uint32_t>& number) {
  ::syscall(SYS_futex, &number, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace hearth
