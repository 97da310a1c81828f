#include "sim/exec/interpreter.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::sim::exec {
namespace {

constexpr std::uint32_t kNever = ~std::uint32_t{0};
constexpr std::uint32_t kAloneQuantum = 1 << 16;
// One in so many times a group that does not have the least program counter runs, so that lanes which wait in a loop
// for what others of their warp have still to do do not wait for ever.
constexpr std::uint32_t kFairness = 16;

std::uint64_t mixed(std::uint64_t x) {  // SplitMix64's finisher
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

}  // namespace

Interpreter::Interpreter(const Program& program, const Launch& launch, GlobalMemory& memory, const Options& options)
    : program_(program),
      launch_(launch),
      memory_(memory),
      options_(options),
      constants_(program.constants()),
      threads_(launch.block[0] * launch.block[1] * launch.block[2]),
      shared_bytes_(program.kernel.dynamic_shared_offset + launch.dynamic_shared_bytes),
      parameters_(launch.arguments),
      reported_(program.steps.size()) {
  const ptx::Kernel& kernel = program.kernel;
  if (launch.dynamic_shared_bytes == 0) shared_bytes_ = kernel.static_shared_bytes;
  warps_.resize((threads_ + 31) / 32);
  const std::uint64_t local = padded(kernel.local_bytes) * std::uint64_t{32};
  frames_ = AlignedBytes(warps_.size() * kernel.register_bytes);
  locals_ = AlignedBytes(warps_.size() * local * 2);
  shared_ = AlignedBytes(std::uint64_t{padded(shared_bytes_)} * 2);
  shared_state_ = shared_.get() + padded(shared_bytes_);
  for (std::size_t i = 0; i < warps_.size(); ++i) {
    Warp& warp = warps_[i];
    warp.index = static_cast<std::uint32_t>(i);
    warp.frame = frames_.get() + i * kernel.register_bytes;
    warp.local = locals_.get() + i * local * 2;
    warp.local_written = warp.local + local;
    const std::uint32_t lanes = std::min<std::uint32_t>(32, threads_ - warp.index * 32);
    warp.existing = lanes == 32 ? kAllLanes : (LaneMask{1} << lanes) - 1;
    warp.return_stack.resize(std::size_t{32} * kernel.max_call_depth);
  }
  for (std::uint32_t i = 0; i < threads_; ++i) {
    thread_indices_.push_back(
        {i % launch.block[0], i / launch.block[0] % launch.block[1], i / launch.block[0] / launch.block[1]});
  }
  if (options.count_steps) stats_.executed.resize(program.steps.size());
  if (options.detect_races) races_ = std::make_unique<Races>(threads_, shared_bytes_);
}

void Interpreter::start_block(std::uint64_t number) {
  block_number_ = number;
  block_ = {static_cast<std::uint32_t>(number % launch_.grid[0]),
            static_cast<std::uint32_t>(number / launch_.grid[0] % launch_.grid[1]),
            static_cast<std::uint32_t>(number / launch_.grid[0] / launch_.grid[1])};
  random_.seed(static_cast<std::uint32_t>(mixed(options_.seed * 0x9e3779b97f4a7c15u + number)));
  std::memset(shared_state_, static_cast<int>(kUnwritten), padded(shared_bytes_));
  const std::uint64_t local = padded(program_.kernel.local_bytes) * std::uint64_t{32};
  for (Warp& warp : warps_) {
    // No value that one would take for a result: a float of -6e-27, a large negative integer.
    std::memset(warp.frame, 0x95, program_.kernel.register_bytes);
    if (local > 0) std::memset(warp.local_written, 0, local);
    warp.live = warp.existing;
    warp.group_count = 0;
    warp.add(program_.kernel.entry, warp.existing);
    warp.current = 0;
    warp.executed = 0;
    warp.depth.fill(0);
    warp.pending.clear();
    warp.commits.fill(0);
  }
  for (Barrier& barrier : barriers_) barrier = Barrier{};
  live_threads_ = threads_;
  if (races_) races_->start_block();
}

bool Interpreter::run_block(std::uint64_t number, const std::atomic<bool>& stop) {
  start_block(number);
  std::array<Warp*, 32> ready{};
  while (live_threads_ > 0 && !stop.load(std::memory_order_relaxed)) {
    std::uint32_t count = 0;
    for (Warp& warp : warps_) {
      if (warp.has_ready()) ready[count++] = &warp;
    }
    if (count == 0) return deadlock();
    const auto chosen = count == 1 ? 0 : static_cast<std::uint32_t>(random_()) % count;
    const std::uint32_t budget =
        count == 1 ? kAloneQuantum : 1 + static_cast<std::uint32_t>(random_()) % options_.quantum;
    if (!run_warp(*ready[chosen], budget)) return false;
  }
  return true;
}

bool Interpreter::run_warp(Warp& warp, std::uint32_t budget) {
  bool fair = warp.group_count > 1 && random_() % kFairness == 0;
  while (budget > 0) {
    std::uint32_t limit = kNever;
    if (!choose(warp, fair, limit)) return true;
    fair = false;
    std::uint32_t used = 0;
    const Next next = execute(warp, budget, limit, used);
    budget -= used;
    warp.executed += used;
    stats_.warp_instructions += used;
    if (next == Next::kFault) return false;
    if (next == Next::kYield) break;
  }
  if (warp.executed > options_.max_warp_instructions && warp.live != 0) {
    warp.current = 0;
    return fail(FaultKind::kEndlessLoop, warp, std::countr_zero(warp.running().lanes),
                fmt::format("a warp has executed {} instructions and goes on", warp.executed));
  }
  return true;
}

// Makes the ready group with the least program counter the running one, after merging those that are at the same
// instruction. `limit` is where it may meet another.
bool Interpreter::choose(Warp& warp, bool fair, std::uint32_t& limit) {
  if (warp.group_count == 1) {
    warp.current = 0;
    return warp.running().state == Group::State::kReady;
  }
  int best = -1;
  for (int i = 0; i < warp.group_count; ++i) {
    const Group& group = warp.groups[static_cast<std::size_t>(i)];
    if (group.state != Group::State::kReady) continue;
    if (best < 0 || group.pc < warp.groups[static_cast<std::size_t>(best)].pc) best = i;
  }
  if (best < 0) return false;
  warp.current = best;
  if (fair) {
    const auto other = static_cast<int>(random_() % static_cast<std::uint32_t>(warp.group_count));
    if (warp.groups[static_cast<std::size_t>(other)].state == Group::State::kReady) {
      warp.current = other;
      return true;
    }
  }
  for (int i = warp.group_count - 1; i >= 0; --i) {
    const Group& group = warp.groups[static_cast<std::size_t>(i)];
    if (i == warp.current || group.state != Group::State::kReady) continue;
    if (group.pc == warp.running().pc) {
      warp.running().lanes |= group.lanes;
      warp.remove(i);
    } else {
      limit = std::min(limit, group.pc);
    }
  }
  return true;
}

// Runs the current group until the budget is spent, it may meet another group, or it parts, waits or ends.
Interpreter::Next Interpreter::execute(Warp& warp, std::uint32_t budget, std::uint32_t limit, std::uint32_t& used) {
  Group* group = &warp.running();
  const Step* const steps = program_.steps.data();
  std::byte* const bases[3] = {warp.frame, constants_, nullptr};
  const auto place = [&](Ref ref) { return bases[ref.bits & 3] + (ref.bits >> 2); };
  std::uint64_t* const executed = stats_.executed.empty() ? nullptr : stats_.executed.data();
  std::uint32_t pc = group->pc;
  LaneMask lanes = group->lanes;
  std::uint32_t left = budget;
  std::uint64_t threads = 0;
  Next next = Next::kContinue;
  while (next == Next::kContinue && left > 0 && pc < limit) {
    const Step& step = steps[pc];
    if (executed != nullptr) ++executed[pc];
    --left;
    LaneMask active = lanes;
    if (step.guarded) {
      const LaneMask guard = mask(warp.frame + step.guard);
      active &= step.guard_negated ? ~guard : guard;
    }
    threads += active == kAllLanes ? 32 : static_cast<std::uint64_t>(std::popcount(active));
    if (step.kind == Kind::kLane) {
      if (active != 0) step.function(place(step.d), place(step.a), place(step.b), place(step.c), active, place(step.e));
      ++pc;
      continue;
    }
    if (step.kind == Kind::kBranch) {
      if (active == lanes) {
        pc = step.target;
      } else if (active == 0) {
        ++pc;
      } else {
        const bool forward = step.target > pc;
        lanes = forward ? lanes & ~active : active;
        const std::uint32_t elsewhere = forward ? step.target : pc + 1;
        warp.add(elsewhere, group->lanes & ~lanes);
        group->lanes = lanes;
        pc = forward ? pc + 1 : step.target;
        limit = std::min(limit, elsewhere);
      }
      continue;
    }
    if (active == 0) {
      ++pc;
      continue;
    }
    group->pc = pc;
    warp.clock = warp.executed + (budget - left);
    next = other(warp, step, active);
    if (next != Next::kContinue) break;
    group = &warp.running();  // lanes that met may have moved it
    pc = group->pc;
    lanes = group->lanes;
  }
  used = budget - left;
  stats_.thread_instructions += threads;
  if (next == Next::kContinue) group->pc = pc;
  return next;
}

// Everything but lane arithmetic and branches. The running group's program counter is that of the step; afterwards it
// is that of the next, if the group still exists.
Interpreter::Next Interpreter::other(Warp& warp, const Step& step, LaneMask active) {
  bool ok = true;
  switch (step.kind) {
    case Kind::kLoad:
      ok = load(warp, step, active);
      break;
    case Kind::kStore:
      ok = store(warp, step, active);
      break;
    case Kind::kSpecial:
      special(warp, step, active);
      break;
    case Kind::kActivemask:
      for_lanes(active, [&](int lane) { set_value(warp, step, 0, lane, active); });
      break;
    case Kind::kAtom:
      ok = atomic(warp, step, active);
      break;
    case Kind::kCvta:
      convert_address(warp, step, active);
      break;
    case Kind::kIsspacep:
      is_space(warp, step, active);
      break;
    case Kind::kCpAsync:
      ok = copy_async(warp, step, active);
      break;
    case Kind::kCpAsyncCommit:
      for_lanes(active, [&](int lane) { ++warp.commits[static_cast<std::size_t>(lane)]; });
      break;
    case Kind::kCpAsyncWait:
      ok = copy_wait(warp, step, active);
      break;
    case Kind::kMbarrier:
      ok = mbarrier(warp, step, active);
      if (ok && step.instruction->op == ptx::Op::kMbarrierTest) {  // who asks will often ask again: others may run
        ++warp.running().pc;
        return Next::kYield;
      }
      break;
    case Kind::kYield:
      ++warp.running().pc;
      return Next::kYield;
    case Kind::kSynced:
      return synced(warp, step, active);
    case Kind::kAligned:
      return aligned(warp, step, active);
    case Kind::kBarrier:
      return barrier(warp, step, active);
    case Kind::kBranchIndexed:
      return branch_indexed(warp, step, active);
    case Kind::kCall:
      return call(warp, step, active);
    case Kind::kRet:
      return ret(warp, active);
    case Kind::kExit:
      exit_lanes(warp, active);
      return Next::kReschedule;
    case Kind::kTrap:
      fail(FaultKind::kTrap, warp, std::countr_zero(active),
           "the kernel executed a trap (a failed assertion, or on purpose)");
      return Next::kFault;
    case Kind::kNothing:
    case Kind::kLane:
    case Kind::kBranch:
      break;
  }
  if (!ok) return Next::kFault;
  ++warp.running().pc;
  return Next::kContinue;
}

Interpreter::Next Interpreter::branch_indexed(Warp& warp, const Step& step, LaneMask active) {
  const auto& table = program_.kernel.branch_tables[step.target];
  std::array<std::uint32_t, 32> pcs;
  pcs.fill(warp.running().pc + 1);
  for (LaneMask left = active; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const std::uint64_t index = value(warp, step, 0, lane);
    if (index >= table.size()) {
      fail(FaultKind::kInvalidInstruction, warp, lane,
           fmt::format("brx.idx with index {} of a table of {} targets", index, table.size()));
      return Next::kFault;
    }
    pcs[static_cast<std::size_t>(lane)] = table[index];
  }
  return scatter(warp, pcs);
}

Interpreter::Next Interpreter::call(Warp& warp, const Step& step, LaneMask active) {
  const std::uint32_t after = warp.running().pc + 1;
  std::array<std::uint32_t, 32> pcs;
  pcs.fill(after);
  for_lanes(active, [&](int lane) {
    const auto i = static_cast<std::size_t>(lane);
    CHECK(warp.depth[i] < program_.kernel.max_call_depth);
    warp.return_stack[i * program_.kernel.max_call_depth + warp.depth[i]++] = after;
    pcs[i] = step.target;
  });
  return scatter(warp, pcs);
}

Interpreter::Next Interpreter::ret(Warp& warp, LaneMask active) {
  std::array<std::uint32_t, 32> pcs;
  pcs.fill(warp.running().pc + 1);
  LaneMask ending = 0;
  for_lanes(active, [&](int lane) {
    const auto i = static_cast<std::size_t>(lane);
    if (warp.depth[i] == 0) {
      ending |= LaneMask{1} << lane;
    } else {
      pcs[i] = warp.return_stack[i * program_.kernel.max_call_depth + --warp.depth[i]];
    }
  });
  if (ending != 0) {
    const bool gone = ending == warp.running().lanes;
    exit_lanes(warp, ending);
    if (!gone) scatter(warp, pcs);
    return Next::kReschedule;
  }
  return scatter(warp, pcs);
}

// The running group keeps the lanes with the program counter of its first lane.
Interpreter::Next Interpreter::scatter(Warp& warp, const std::array<std::uint32_t, 32>& pcs) {
  Group& group = warp.running();
  const std::uint32_t pc = pcs[static_cast<std::size_t>(std::countr_zero(group.lanes))];
  LaneMask rest = 0;
  for_lanes(group.lanes, [&](int lane) {
    if (pcs[static_cast<std::size_t>(lane)] != pc) rest |= LaneMask{1} << lane;
  });
  group.pc = pc;
  group.lanes &= ~rest;
  while (rest != 0) {
    const std::uint32_t to = pcs[static_cast<std::size_t>(std::countr_zero(rest))];
    LaneMask here = 0;
    for_lanes(rest, [&](int lane) {
      if (pcs[static_cast<std::size_t>(lane)] == to) here |= LaneMask{1} << lane;
    });
    warp.add(to, here);
    rest &= ~here;
  }
  return warp.group_count == 1 ? Next::kContinue : Next::kReschedule;
}

void Interpreter::exit_lanes(Warp& warp, LaneMask lanes) {
  warp.live &= ~lanes;
  live_threads_ -= static_cast<std::uint32_t>(std::popcount(lanes));
  Group& group = warp.running();
  group.lanes &= ~lanes;
  ++group.pc;
  if (group.lanes == 0) warp.remove(warp.current);
  // Nobody waits for those that have exited.
  for (Group& waiting : warp.all_groups()) {
    if (waiting.state == Group::State::kGathering) waiting.state = Group::State::kReady;
  }
  for (std::uint32_t i = 0; i < barriers_.size(); ++i) complete_barrier(i);
}

// --- faults ---

Fault Interpreter::make_fault(FaultKind kind, const Warp& warp, int lane, std::uint32_t pc, std::string detail) const {
  Fault fault;
  fault.kind = kind;
  fault.detail = std::move(detail);
  fault.kernel = program_.kernel.name;
  fault.line = step_at(pc).instruction->line;
  fault.block = block_;
  fault.thread = thread_indices_[thread_number(warp, lane)];
  return fault;
}

bool Interpreter::fail(FaultKind kind, Warp& warp, int lane, std::string detail) {
  fault_ = make_fault(kind, warp, lane, warp.running().pc, std::move(detail));
  return false;
}

bool Interpreter::fail(FaultKind kind, Warp& warp, int lane, const Access& access, std::string detail) {
  fail(kind, warp, lane, std::move(detail));
  fault_->address = access.addresses[lane];
  fault_->bytes = access.bytes;
  fault_->write = access.write;
  return false;
}

namespace {

std::string describe_wait(const Group& group, const Barrier& barrier, const ptx::Instruction& instruction) {
  const int lanes = std::popcount(group.lanes);
  if (group.state == Group::State::kBarrier) {
    const std::string all = barrier.expected == 0 ? "all" : fmt::format("{}", barrier.expected);
    return fmt::format("{} lanes at line {} (barrier {}: {} threads of {} are there)", lanes, instruction.line,
                       group.barrier, barrier.lanes, all);
  }
  return fmt::format("{} lanes at line {} (for the lanes {:#x} of their warp)", lanes, instruction.line, group.members);
}

}  // namespace

bool Interpreter::deadlock() {
  constexpr std::size_t kWarpsToName = 4;
  std::string text = "no thread of the block can go on: ";
  std::size_t named = 0;
  Warp* first = nullptr;
  for (Warp& warp : warps_) {
    if (warp.live == 0) continue;
    if (first == nullptr) first = &warp;
    if (named++ == kWarpsToName) {
      text += "; …";
      break;
    }
    if (named > 1) text += "; ";
    text += fmt::format("warp {} waits with ", warp.index);
    bool comma = false;
    for (const Group& group : warp.all_groups()) {
      if (comma) text += ", and with ";
      comma = true;
      text += describe_wait(group, barriers_[group.barrier], *step_at(group.pc).instruction);
    }
  }
  first->current = 0;
  return fail(FaultKind::kDeadlock, *first, std::countr_zero(first->groups[0].lanes), text);
}

}  // namespace hearth::sim::exec
