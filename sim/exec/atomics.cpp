// Atomic operations, and barriers that are objects in shared memory (mbarrier).
#include "base/error.h"
#include "sim/exec/interpreter.h"

namespace hearth::sim::exec {

using ptx::Op;

namespace {

// Replaces the value at `at` by the operation's result, also against other host threads; returns the old one.
template <class T>
std::uint64_t exchange(std::byte* at, const ptx::Instruction& instruction, std::uint64_t b, std::uint64_t c) {
  T* const place = reinterpret_cast<T*>(at);
  T old = __atomic_load_n(place, __ATOMIC_RELAXED);
  for (;;) {
    const auto desired = static_cast<T>(atomic_result(instruction.atomic, instruction.type, old, b, c));
    if (__atomic_compare_exchange_n(place, &old, desired, /*weak=*/true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
      return old;
    }
  }
}

}  // namespace

bool Interpreter::atomic(Warp& warp, const Step& step, LaneMask active) {
  const ptx::Instruction& instruction = *step.instruction;
  const bool swaps = instruction.atomic == ptx::AtomicOp::kCas;
  const bool keeps_old = !program_.ref(step, 0).none();
  Access access;
  access.bytes = step.bytes;
  addresses(warp, step.a, step.address_bytes, step.displacement, active, access);
  return each_access(warp, instruction.space, active, access, [&](LaneMask lanes) {
    if (access.space == ptx::Space::kLocal) {
      return fail(FaultKind::kIllegalAddress, warp, std::countr_zero(lanes), access,
                  "an atomic operation on local memory");
    }
    access.write = true;  // it has been resolved as a read; now it is both
    if (!resolve(warp, lanes, access)) return false;
    if (races_ && access.space == ptx::Space::kShared && !check_races(warp, lanes, access, /*atomic=*/true)) {
      return false;
    }
    for_lanes(lanes, [&](int lane) {
      const std::uint64_t b = value(warp, step, 2, lane);
      const std::uint64_t c = swaps ? value(warp, step, 3, lane) : 0;
      std::byte* const at = access.at[lane];
      const std::uint64_t old = access.bytes == 2   ? exchange<std::uint16_t>(at, instruction, b, c)
                                : access.bytes == 4 ? exchange<std::uint32_t>(at, instruction, b, c)
                                                    : exchange<std::uint64_t>(at, instruction, b, c);
      if (keeps_old) set_value(warp, step, 0, lane, old);
    });
    access.write = false;
    return true;
  });
}

// --- mbarrier ---

namespace {

// The 64 bits of an mbarrier, which PTX leaves to the implementation: arrivals that this phase still waits for,
// arrivals of each phase, bytes that asynchronous copies still bring, and the parity of the phase.
struct MemoryBarrier {
  std::uint32_t pending, expected;
  std::int32_t bytes;
  std::uint32_t phase;

  static constexpr std::uint64_t kCount = (1 << 20) - 1;
  static MemoryBarrier of(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word & kCount), static_cast<std::uint32_t>(word >> 20 & kCount),
            static_cast<std::int32_t>(static_cast<std::int64_t>(word << 1) >> 41),
            static_cast<std::uint32_t>(word >> 63)};
  }
  std::uint64_t word() const {
    return std::uint64_t{phase} << 63 | (static_cast<std::uint64_t>(bytes) & 0x7fffff) << 40 |
           std::uint64_t{expected} << 20 | pending;
  }
  void settle() {
    if (pending > 0 || bytes != 0) return;
    phase ^= 1;
    pending = expected;
  }
};

}  // namespace

bool Interpreter::mbarrier(Warp& warp, const Step& step, LaneMask active) {
  Access access;
  access.bytes = 8;
  const Op op = step.instruction->op;
  access.write = op == Op::kMbarrierInit || op == Op::kMbarrierInval;
  addresses(warp, step.a, step.address_bytes, step.displacement, active, access);
  return each_access(warp, step.instruction->space, active, access, [&](LaneMask lanes) {
    if (access.space != ptx::Space::kShared) {
      return fail(FaultKind::kIllegalAddress, warp, std::countr_zero(lanes), access,
                  "an mbarrier lies in shared memory");
    }
    for (; lanes != 0; lanes &= lanes - 1) {
      if (!mbarrier_lane(warp, step, std::countr_zero(lanes), access)) return false;
    }
    return true;
  });
}

bool Interpreter::mbarrier_lane(Warp& warp, const Step& step, int lane, Access& access) {
  const ptx::Instruction& instruction = *step.instruction;
  const auto offset = static_cast<std::uint32_t>(access.addresses[lane]);
  std::uint64_t word = 0;
  std::memcpy(&word, access.at[lane], 8);
  MemoryBarrier barrier = MemoryBarrier::of(word);
  const auto put = [&] {
    word = barrier.word();
    std::memcpy(access.at[lane], &word, 8);
  };
  const auto arrive = [&](std::uint64_t count) {
    if (count == 0 || count > barrier.pending) {
      return fail(FaultKind::kInvalidInstruction, warp, lane, access,
                  fmt::format("{} arrivals at an mbarrier that waits for {}", count, barrier.pending));
    }
    if (races_) races_->release(offset, thread_number(warp, lane));
    barrier.pending -= static_cast<std::uint32_t>(count);
    barrier.settle();
    put();
    return true;
  };
  switch (instruction.op) {
    case Op::kMbarrierInit: {
      const std::uint64_t count = value(warp, step, 1, lane);
      if (count == 0 || count > MemoryBarrier::kCount) {
        return fail(FaultKind::kInvalidInstruction, warp, lane, access,
                    fmt::format("an mbarrier cannot wait for {} arrivals", count));
      }
      barrier = MemoryBarrier{static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(count), 0, 0};
      put();
      return true;
    }
    case Op::kMbarrierInval:
      std::memset(shared_state_ + offset, static_cast<int>(kUnwritten), 8);
      return true;
    case Op::kMbarrierArrive: {
      if (!program_.ref(step, 0).none()) set_value(warp, step, 0, lane, word);
      const bool given = !program_.ref(step, 2).none();
      const std::uint64_t count = given ? value(warp, step, 2, lane) : 1;
      if (!instruction.expect) return arrive(count);
      barrier.bytes += static_cast<std::int32_t>(count);
      return arrive(1);
    }
    case Op::kMbarrierTest: {
      // By state: that phase is over. By parity: the phase of that parity is over.
      const std::uint64_t asked = value(warp, step, 2, lane);
      const std::uint64_t parity = instruction.part == 1 ? asked & 1 : asked >> 63;
      const bool over = barrier.phase != parity;
      if (over && races_) races_->acquire(offset, thread_number(warp, lane));
      LaneMask& d = mask(operand(warp, step, 0));
      d = (d & ~(LaneMask{1} << lane)) | LaneMask{over} << lane;
      return true;
    }
    default:  // cp.async.mbarrier.arrive: this lane's copies arrive now. Without .noinc the arrival is one on top of
              // what was expected, so that nothing changes.
      if (!deliver(warp, LaneMask{1} << lane, /*open_groups=*/0, /*uncommitted=*/true)) return false;
      return instruction.part == 1 ? arrive(1) : true;
  }
}

}  // namespace hearth::sim::exec
