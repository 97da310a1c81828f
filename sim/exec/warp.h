// The state of a warp. Internal to sim/exec.
//
// Lanes that are at the same instruction form a group; the ready group with the least program counter runs, so that
// lanes that parted meet again at the first instruction they share. Almost always there is one group.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/exec/lane_ops.h"

namespace hearth::sim::exec {

struct Group {
  enum class State : std::uint8_t {
    kReady,
    kGathering,  // at a .sync instruction, until the lanes of `members` are there
    kBarrier,    // at barrier number `barrier`
  };
  std::uint32_t pc = 0;
  LaneMask lanes = 0;
  State state = State::kReady;
  LaneMask members = 0;
  std::uint32_t barrier = 0;
};

// A cp.async of one lane that has not arrived yet.
struct PendingCopy {
  int lane = 0;
  std::uint32_t group = 0;  // number of the lane's commit group
  std::uint32_t to = 0;     // offset in shared memory
  std::uint32_t bytes = 0;
  std::array<std::byte, 16> data{};
};

struct Warp {
  std::uint32_t index = 0;             // in the block
  std::byte* frame = nullptr;          // registers
  std::byte* local = nullptr;          // local memory: lane by lane
  std::byte* local_written = nullptr;  // 1 for each byte that was written
  LaneMask existing = 0;               // the last warp of a block may be incomplete
  LaneMask live = 0;                   // have not exited
  std::array<Group, 32> groups;
  int group_count = 0;
  int current = 0;                          // the group that runs
  std::uint64_t executed = 0;               // instructions, up to when the running group began
  std::uint64_t clock = 0;                  // and up to the last one that was no arithmetic
  std::vector<std::uint32_t> return_stack;  // of each lane, one behind the other
  std::array<std::uint32_t, 32> depth{};
  std::vector<PendingCopy> pending;
  std::array<std::uint32_t, 32> commits{};

  Group& running() { return groups[static_cast<std::size_t>(current)]; }
  const Group& running() const { return groups[static_cast<std::size_t>(current)]; }
  std::span<Group> all_groups() { return {groups.data(), static_cast<std::size_t>(group_count)}; }
  std::span<const Group> all_groups() const { return {groups.data(), static_cast<std::size_t>(group_count)}; }
  bool has_ready() const {
    for (const Group& group : all_groups()) {
      if (group.state == Group::State::kReady) return true;
    }
    return false;
  }
  Group& add(std::uint32_t pc, LaneMask lanes) {
    Group& group = groups[static_cast<std::size_t>(group_count++)];
    group = Group{pc, lanes, Group::State::kReady, 0, 0};
    return group;
  }
  // The last group takes the removed one's place.
  void remove(int i) {
    groups[static_cast<std::size_t>(i)] = groups[static_cast<std::size_t>(--group_count)];
    if (current == group_count) current = i;
  }
};

struct Barrier {
  std::uint32_t lanes = 0;             // threads that have arrived
  std::uint32_t counted = 0;           // the same as PTX counts: whole warps
  std::uint32_t expected = 0;          // 0: all threads of the block
  std::uint32_t popc = 0;              // of the predicates of bar.red
  std::uint32_t first_pc = 0;          // of the first that arrived
  std::vector<std::uint32_t> threads;  // who arrived, when races are looked for
  bool empty() const { return lanes == 0; }
};

// Calls f(lane) for each bit.
template <class F>
inline void for_lanes(LaneMask lanes, F f) {
  for (; lanes != 0; lanes &= lanes - 1) f(std::countr_zero(lanes));
}

}  // namespace hearth::sim::exec
