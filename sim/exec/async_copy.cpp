// cp.async: the source is read at once, the destination is written when the thread waits for it. Until then its bytes
// count as in flight, and reading them is an uninitialised read.
#include <algorithm>

#include "base/error.h"
#include "sim/exec/interpreter.h"

namespace hearth::sim::exec {

bool Interpreter::copy_async(Warp& warp, const Step& step, LaneMask active) {
  Access to, from;
  to.bytes = from.bytes = step.bytes;
  to.write = true;
  addresses(warp, step.a, step.address_bytes, step.displacement, active, to);
  addresses(warp, program_.ref(step, 1), program_.operand(step, 1).bytes, step.instruction->source_displacement, active,
            from);
  to.space = ptx::Space::kShared;
  from.space = ptx::Space::kGlobal;
  if (!resolve(warp, active, to)) return false;
  if (races_ && !check_races(warp, active, to, /*atomic=*/false)) return false;

  const bool sized = !program_.ref(step, 2).none();
  LaneMask whole = 0;
  for_lanes(active, [&](int lane) {
    if (!sized || value(warp, step, 2, lane) >= step.bytes) whole |= LaneMask{1} << lane;
  });
  if (whole != 0) {
    Access all = from;
    const std::uint64_t some = all.addresses[std::countr_zero(whole)];
    for_lanes(~whole, [&](int lane) { all.addresses[lane] = some; });
    if (!resolve(warp, whole, all)) return false;
    std::copy(std::begin(all.at), std::end(all.at), from.at);
  }
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    PendingCopy copy;
    copy.lane = lane;
    copy.group = warp.commits[static_cast<std::size_t>(lane)];
    copy.to = static_cast<std::uint32_t>(to.addresses[lane]);
    copy.bytes = step.bytes;
    if ((whole >> lane & 1) != 0) {
      std::memcpy(copy.data.data(), from.at[lane], step.bytes);
    } else if (!copy_part(warp, lane, from, value(warp, step, 2, lane), copy)) {
      return false;
    }
    std::memset(to.at[lane], 0x95, step.bytes);
    std::memset(shared_state_ + copy.to, static_cast<int>(kInFlight), step.bytes);
    warp.pending.push_back(copy);
  }
  return true;
}

// The first `bytes` bytes come from memory, and only these are accessed; the others are zero.
bool Interpreter::copy_part(Warp& warp, int lane, const Access& from, std::uint64_t bytes, PendingCopy& copy) {
  const LaneMask alone = LaneMask{1} << lane;
  if (from.addresses[lane] % from.bytes != 0) return misaligned(warp, lane, from);
  Access one;
  one.bytes = 1;
  one.space = ptx::Space::kGlobal;
  for (std::uint64_t i = 0; i < bytes; ++i) {
    std::fill(std::begin(one.addresses), std::end(one.addresses), from.addresses[lane] + i);
    if (!resolve(warp, alone, one)) return false;
    copy.data[i] = *one.at[lane];
  }
  return true;
}

bool Interpreter::copy_wait(Warp& warp, const Step& step, LaneMask active) {
  const bool all = step.instruction->op == ptx::Op::kCpAsyncWaitAll;
  return deliver(warp, active, all ? 0 : step.instruction->count, all);
}

// The copies of these lanes arrive, but for those of the `open_groups` groups committed last. `uncommitted`: also what
// is in no group yet.
bool Interpreter::deliver(Warp& warp, LaneMask lanes, std::uint32_t open_groups, bool uncommitted) {
  std::size_t kept = 0;
  for (PendingCopy& copy : warp.pending) {
    const bool due = uncommitted || copy.group + open_groups < warp.commits[static_cast<std::size_t>(copy.lane)];
    if ((lanes >> copy.lane & 1) == 0 || !due) {
      warp.pending[kept++] = copy;
      continue;
    }
    std::memcpy(shared_.get() + copy.to, copy.data.data(), copy.bytes);
    std::memset(shared_state_ + copy.to, static_cast<int>(kWritten), copy.bytes);
  }
  warp.pending.resize(kept);
  return true;
}

}  // namespace hearth::sim::exec
