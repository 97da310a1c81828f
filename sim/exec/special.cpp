// Special registers, and conversions of generic addresses.
#include "sim/exec/interpreter.h"

namespace hearth::sim::exec {

using ptx::Space;
using ptx::Special;

void Interpreter::special(Warp& warp, const Step& step, LaneMask active) {
  const auto which = static_cast<Special>(program_.operand(step, 1).index);
  for_lanes(active, [&](int lane) { set_value(warp, step, 0, lane, special_value(warp, which, lane)); });
}

std::uint64_t Interpreter::special_value(const Warp& warp, Special which, int lane) const {
  const LaneMask bit = LaneMask{1} << lane;
  const auto& thread = thread_indices_[thread_number(warp, lane)];
  // One cycle per instruction of the warp; a nanosecond for each of all.
  const std::uint64_t clock = warp.clock;
  const std::uint64_t timer = stats_.warp_instructions + (warp.clock - warp.executed);
  switch (which) {
    case Special::kTidX:
    case Special::kTidY:
    case Special::kTidZ:
      return thread[static_cast<std::size_t>(which) - static_cast<std::size_t>(Special::kTidX)];
    case Special::kNtidX:
    case Special::kNtidY:
    case Special::kNtidZ:
      return launch_.block[static_cast<std::size_t>(which) - static_cast<std::size_t>(Special::kNtidX)];
    case Special::kCtaidX:
    case Special::kCtaidY:
    case Special::kCtaidZ:
      return block_[static_cast<std::size_t>(which) - static_cast<std::size_t>(Special::kCtaidX)];
    case Special::kNctaidX:
    case Special::kNctaidY:
    case Special::kNctaidZ:
      return launch_.grid[static_cast<std::size_t>(which) - static_cast<std::size_t>(Special::kNctaidX)];
    case Special::kLaneid:
      return static_cast<std::uint64_t>(lane);
    case Special::kWarpid:
      return warp.index;
    case Special::kNwarpid:
      return warps_.size();
    case Special::kSmid:
      return block_number_ % static_cast<std::uint64_t>(options_.multiprocessors);
    case Special::kNsmid:
      return static_cast<std::uint64_t>(options_.multiprocessors);
    case Special::kGridid:
      return options_.grid_id;
    case Special::kLanemaskEq:
      return bit;
    case Special::kLanemaskLe:
      return bit | (bit - 1);
    case Special::kLanemaskLt:
      return bit - 1;
    case Special::kLanemaskGe:
      return ~(bit - 1);
    case Special::kLanemaskGt:
      return ~(bit | (bit - 1));
    case Special::kClock:
      return clock & 0xffffffff;
    case Special::kClockHi:
      return clock >> 32;
    case Special::kClock64:
      return clock;
    case Special::kGlobaltimer:
      return timer;
    case Special::kGlobaltimerLo:
      return timer & 0xffffffff;
    case Special::kGlobaltimerHi:
      return timer >> 32;
    case Special::kDynamicSharedBytes:
      return launch_.dynamic_shared_bytes;
    case Special::kTotalSharedBytes:
      return shared_bytes_;
  }
  return 0;
}

namespace {

Address window_of(Space space) {
  switch (space) {
    case Space::kShared:
      return kSharedWindow;
    case Space::kLocal:
      return kLocalWindow;
    case Space::kParam:
      return kParamWindow;
    default:
      return 0;
  }
}

}  // namespace

void Interpreter::convert_address(Warp& warp, const Step& step, LaneMask active) {
  const Address window = window_of(step.instruction->space);
  const bool back = step.instruction->to_space;
  if (active == kAllLanes && program_.operand(step, 0).bytes == 8 && program_.operand(step, 1).bytes == 8) {
    auto* d = reinterpret_cast<std::uint64_t*>(operand(warp, step, 0));
    const auto* a = reinterpret_cast<const std::uint64_t*>(operand(warp, step, 1));
    const std::uint64_t add = back ? -window : window;
    for (int lane = 0; lane < 32; ++lane) d[lane] = a[lane] + add;
    return;
  }
  for_lanes(active, [&](int lane) {
    const std::uint64_t address = value(warp, step, 1, lane);
    set_value(warp, step, 0, lane, back ? address - window : address + window);
  });
}

void Interpreter::is_space(Warp& warp, const Step& step, LaneMask active) {
  const Space space = step.instruction->space;
  const Address window = window_of(space);
  LaneMask result = 0;
  for_lanes(active, [&](int lane) {
    const std::uint64_t address = value(warp, step, 1, lane);
    const std::uint64_t found = address & kWindowMask;
    bool inside = found == window;
    if (window == 0) {
      const bool windowed = found >= kSharedWindow && found <= kParamWindow;
      const Mapping* mapping = windowed ? nullptr : memory_.find(address);
      const bool constant = mapping != nullptr && mapping->writable == 0;
      inside = space == Space::kConst ? constant : !windowed && !constant;
    }
    if (inside) result |= LaneMask{1} << lane;
  });
  LaneMask& d = mask(operand(warp, step, 0));
  d = (d & ~active) | result;
}

}  // namespace hearth::sim::exec
