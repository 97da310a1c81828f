// What lanes, warps and threads wait for: member masks and barriers.
#include "base/error.h"
#include "sim/exec/interpreter.h"

namespace hearth::sim::exec {

using ptx::BarrierMode;
using ptx::Op;

// The lanes `rest` of the running group go their own way from `pc`.
void Interpreter::part(Warp& warp, LaneMask rest, std::uint32_t pc) {
  if (rest == 0) return;
  warp.running().lanes &= ~rest;
  warp.add(pc, rest);
}

// The running group is at a .sync instruction. true: all live lanes of `members` are, and the group has them all.
// false: it waits. Lanes that have exited are not waited for (PTX: "all non-exited threads").
bool Interpreter::gather(Warp& warp, LaneMask members, bool same_instruction) {
  Group& group = warp.running();
  const auto joins = [&](const Group& other) {
    if (&other == &group || other.state != Group::State::kGathering || other.members != members) return false;
    return other.pc == group.pc || (!same_instruction && step_at(other.pc).instruction->op == Op::kWarpSync);
  };
  LaneMask present = group.lanes;
  for (const Group& other : warp.all_groups()) {
    if (joins(other)) present |= other.lanes;
  }
  if ((members & warp.live & ~present) != 0) {
    group.state = Group::State::kGathering;
    group.members = members;
    return false;
  }
  LaneMask absorbed = 0;
  for (Group& other : warp.all_groups()) {
    if (!joins(other)) continue;
    if (other.pc == group.pc) {
      absorbed |= other.lanes;
    } else {  // bar.warp.sync at another place
      other.state = Group::State::kReady;
      ++other.pc;
    }
  }
  group.lanes |= absorbed;
  for (int i = warp.group_count - 1; i >= 0; --i) {
    if (i != warp.current && (warp.groups[static_cast<std::size_t>(i)].lanes & absorbed) != 0) warp.remove(i);
  }
  return true;
}

Interpreter::Next Interpreter::synced(Warp& warp, const Step& step, LaneMask active) {
  const std::uint32_t pc = warp.running().pc;
  part(warp, warp.running().lanes & ~active, pc + 1);
  const auto* masks = reinterpret_cast<const LaneMask*>(at(warp, step.e));
  const LaneMask members = masks[std::countr_zero(active)];
  if (!step.e.constant()) {  // lanes with different masks do not wait for each other
    LaneMask others = 0;
    for_lanes(active, [&](int lane) {
      if (masks[lane] != members) others |= LaneMask{1} << lane;
    });
    part(warp, others, pc);
    active &= ~others;
  }
  if (const LaneMask outside = active & ~members; outside != 0) {
    fail(FaultKind::kInvalidInstruction, warp, std::countr_zero(outside),
         fmt::format("the lane is not in its own member mask {:#x}", members));
    return Next::kFault;
  }
  const bool warp_sync = step.instruction->op == Op::kWarpSync;
  const LaneMask before = warp.live;
  if (!gather(warp, members, !warp_sync)) return Next::kReschedule;
  if (warp_sync) {
    if (races_) join_lanes(warp, members & before);
  } else if (!across(warp, step, warp.running().lanes)) {
    return Next::kFault;
  }
  warp.running().pc = pc + 1;
  return warp.group_count == 1 ? Next::kContinue : Next::kReschedule;
}

void Interpreter::join_lanes(const Warp& warp, LaneMask lanes) {
  std::vector<std::uint32_t> threads;
  for_lanes(lanes, [&](int lane) { threads.push_back(thread_number(warp, lane)); });
  races_->join(threads, threads);
}

bool Interpreter::across(Warp& warp, const Step& step, LaneMask lanes) {
  const ptx::Instruction& instruction = *step.instruction;
  const auto words = [&](std::size_t i) { return reinterpret_cast<std::uint32_t*>(operand(warp, step, i)); };
  switch (instruction.op) {
    case Op::kShfl:
      return shuffle_lanes(warp, step, lanes);
    case Op::kVote: {
      const LaneMask result = vote(instruction.vote, mask(operand(warp, step, 1)), lanes);
      if (instruction.vote == ptx::VoteMode::kBallot) {
        for_lanes(lanes, [&](int lane) { words(0)[lane] = result; });
      } else {
        LaneMask& d = mask(operand(warp, step, 0));
        d = (d & ~lanes) | (result & lanes);
      }
      return true;
    }
    case Op::kMatch:
      match(instruction.match, ptx::bytes_of(instruction.type), words(0), words(1), operand(warp, step, 2), lanes);
      return true;
    case Op::kRedux:
      redux(instruction, words(0), words(1), lanes);
      return true;
    case Op::kElect: {
      const int leader = std::countr_zero(lanes);
      if (std::uint32_t* d = words(0)) {
        for_lanes(lanes, [&](int lane) { d[lane] = static_cast<std::uint32_t>(leader); });
      }
      LaneMask& chosen = mask(operand(warp, step, 1));
      chosen = (chosen & ~lanes) | LaneMask{1} << leader;
      return true;
    }
    default:
      CHECK(false);
      return false;
  }
}

bool Interpreter::shuffle_lanes(Warp& warp, const Step& step, LaneMask lanes) {
  const auto words = [&](std::size_t i) { return reinterpret_cast<std::uint32_t*>(operand(warp, step, i)); };
  LaneMask undefined = 0;
  shuffle(step.instruction->shuffle, words(0), words(1), words(2), words(3), words(4), lanes, &undefined);
  if (undefined == 0) return true;
  return fail(FaultKind::kInvalidInstruction, warp, std::countr_zero(undefined),
              "a shuffle takes the value of a lane that does not take part: it is undefined");
}

// Instructions of the whole warp.
Interpreter::Next Interpreter::aligned(Warp& warp, const Step& step, LaneMask active) {
  const std::uint32_t pc = warp.running().pc;
  part(warp, warp.running().lanes & ~active, pc + 1);
  if (!gather(warp, kAllLanes, /*same_instruction=*/true)) return Next::kReschedule;
  if (const LaneMask missing = ~warp.running().lanes; missing != 0) {
    fail(FaultKind::kInvalidInstruction, warp, std::countr_zero(warp.running().lanes),
         fmt::format("the instruction needs all 32 lanes of the warp; the lanes {:#x} have exited or never were",
                     missing));
    return Next::kFault;
  }
  if (!matrix(warp, step)) return Next::kFault;
  warp.running().pc = pc + 1;
  return warp.group_count == 1 ? Next::kContinue : Next::kReschedule;
}

// --- barriers of the block ---

Interpreter::Next Interpreter::barrier(Warp& warp, const Step& step, LaneMask active) {
  const ptx::Instruction& instruction = *step.instruction;
  part(warp, warp.running().lanes & ~active, warp.running().pc + 1);
  if (instruction.aligned && !gather(warp, kAllLanes, /*same_instruction=*/true)) return Next::kReschedule;
  Group& group = warp.running();
  const bool reduces = instruction.barrier != BarrierMode::kSync && instruction.barrier != BarrierMode::kArrive;
  const std::size_t first = reduces ? 1 : 0;
  const int lane = std::countr_zero(group.lanes);
  const std::uint64_t number = value(warp, step, first, lane);
  const bool counted = !program_.ref(step, first + 1).none();
  const std::uint64_t expected = counted ? value(warp, step, first + 1, lane) : 0;
  if (number >= barriers_.size() || (counted && (expected == 0 || expected % 32 != 0))) {
    fail(FaultKind::kInvalidInstruction, warp, lane,
         fmt::format("barrier {} of {} threads: there are barriers 0 to 15, for multiples of 32 threads", number,
                     expected));
    return Next::kFault;
  }
  Barrier& barrier = barriers_[number];
  if (!barrier.empty() && barrier.expected != expected) {
    fail(FaultKind::kInvalidInstruction, warp, lane,
         fmt::format("barrier {} is for {} threads here and for {} at line {} (0: all)", number, expected,
                     barrier.expected, step_at(barrier.first_pc).instruction->line));
    return Next::kFault;
  }
  if (barrier.empty()) barrier.first_pc = group.pc;
  barrier.expected = static_cast<std::uint32_t>(expected);
  arrive(barrier, warp, reduces ? mask(operand(warp, step, 3)) : 0);
  if (instruction.barrier == BarrierMode::kArrive) {
    ++group.pc;
  } else {
    group.state = Group::State::kBarrier;
    group.barrier = static_cast<std::uint32_t>(number);
  }
  complete_barrier(static_cast<std::uint32_t>(number));
  const bool goes_on = warp.group_count == 1 && warp.running().state == Group::State::kReady;
  return goes_on ? Next::kContinue : Next::kReschedule;
}

void Interpreter::arrive(Barrier& barrier, const Warp& warp, LaneMask predicates) {
  const LaneMask lanes = warp.groups[static_cast<std::size_t>(warp.current)].lanes;
  const auto count = static_cast<std::uint32_t>(std::popcount(lanes));
  barrier.lanes += count;
  barrier.counted += lanes == warp.live ? 32 : count;
  barrier.popc += static_cast<std::uint32_t>(std::popcount(predicates & lanes));
  if (!races_) return;
  for_lanes(lanes, [&](int lane) { barrier.threads.push_back(thread_number(warp, lane)); });
}

void Interpreter::complete_barrier(std::uint32_t number) {
  const Barrier& barrier = barriers_[number];
  if (barrier.empty()) return;
  if (barrier.expected == 0 ? barrier.lanes >= live_threads_ : barrier.counted >= barrier.expected) {
    release_barrier(number);
  }
}

void Interpreter::release_barrier(std::uint32_t number) {
  Barrier& barrier = barriers_[number];
  std::vector<std::uint32_t> waiting;
  for (Warp& warp : warps_) {
    for (Group& group : warp.all_groups()) {
      if (group.state != Group::State::kBarrier || group.barrier != number) continue;
      write_reduction(warp, step_at(group.pc), group.lanes, barrier);
      group.state = Group::State::kReady;
      ++group.pc;
      if (races_) for_lanes(group.lanes, [&](int lane) { waiting.push_back(thread_number(warp, lane)); });
    }
  }
  if (races_) {
    if (waiting.size() == live_threads_) {
      races_->join_all();
    } else {
      races_->join(barrier.threads, waiting);
    }
  }
  barrier = Barrier{};
}

void Interpreter::write_reduction(const Warp& warp, const Step& step, LaneMask lanes, const Barrier& barrier) const {
  const BarrierMode mode = step.instruction->barrier;
  if (mode == BarrierMode::kPopc) {
    for_lanes(lanes, [&](int lane) { set_value(warp, step, 0, lane, barrier.popc); });
  } else if (mode == BarrierMode::kAnd || mode == BarrierMode::kOr) {
    const bool holds = mode == BarrierMode::kAnd ? barrier.popc == barrier.lanes : barrier.popc > 0;
    LaneMask& d = mask(operand(warp, step, 0));
    d = (d & ~lanes) | (holds ? lanes : 0);
  }
}

}  // namespace hearth::sim::exec
