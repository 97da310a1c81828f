// Runs the blocks of one launch, one after the other; a launch on several host threads has one of these on each.
// Internal to sim/exec. Functions that can fail return false and leave the reason in fault().
#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "sim/exec/program.h"
#include "sim/exec/races.h"
#include "sim/exec/warp.h"

namespace hearth::sim::exec {

// Memory on the cache line's boundary.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(std::uint64_t bytes) : lines_(new Line[bytes / sizeof(Line) + 1]) {}
  std::byte* get() const { return reinterpret_cast<std::byte*>(lines_.get()); }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::unique_ptr<Line[]> lines_;
};

class Interpreter {
 public:
  Interpreter(const Program& program, const Launch& launch, GlobalMemory& memory, const Options& options);

  // Runs one block to its end, or until `stop` is set by someone else. false: a fault.
  bool run_block(std::uint64_t number, const std::atomic<bool>& stop);
  const std::optional<Fault>& fault() const { return fault_; }
  LaunchStats& stats() { return stats_; }

 private:
  enum class Next { kContinue, kReschedule, kYield, kFault };

  // One access of the lanes of a warp to memory.
  struct Access {
    // As the instruction gave them, of shared, local and parameter memory the offsets there. What inactive lanes would
    // access is what some active lane does, so that no loop need leave them out.
    alignas(64) std::uint64_t addresses[32];
    std::uint64_t elsewhere[32];  // generic addresses in other spaces, which come later
    std::byte* at[32];            // in host memory
    ptx::Space space{};
    std::uint32_t bytes = 0;  // per lane: a power of two
    bool write = false;
  };

  // --- interpreter.cpp: control ---
  void start_block(std::uint64_t number);
  bool run_warp(Warp& warp, std::uint32_t budget);
  bool choose(Warp& warp, bool fair, std::uint32_t& limit);
  Next execute(Warp& warp, std::uint32_t budget, std::uint32_t limit, std::uint32_t& used);
  Next other(Warp& warp, const Step& step, LaneMask active);
  Next branch_indexed(Warp& warp, const Step& step, LaneMask active);
  Next call(Warp& warp, const Step& step, LaneMask active);
  Next ret(Warp& warp, LaneMask active);
  void exit_lanes(Warp& warp, LaneMask lanes);
  // Divides the running group by the program counters of its lanes.
  Next scatter(Warp& warp, const std::array<std::uint32_t, 32>& pcs);
  bool deadlock();

  // --- sync.cpp: what lanes, warps and threads wait for ---
  Next synced(Warp& warp, const Step& step, LaneMask active);
  Next aligned(Warp& warp, const Step& step, LaneMask active);
  bool gather(Warp& warp, LaneMask members, bool same_instruction);
  void part(Warp& warp, LaneMask rest, std::uint32_t pc);
  bool across(Warp& warp, const Step& step, LaneMask lanes);
  bool shuffle_lanes(Warp& warp, const Step& step, LaneMask lanes);
  void join_lanes(const Warp& warp, LaneMask lanes);
  Next barrier(Warp& warp, const Step& step, LaneMask active);
  void arrive(Barrier& barrier, const Warp& warp, LaneMask predicates);
  void complete_barrier(std::uint32_t number);
  void release_barrier(std::uint32_t number);
  void write_reduction(const Warp& warp, const Step& step, LaneMask lanes, const Barrier& barrier) const;

  // --- access.cpp: loads and stores ---
  bool load(Warp& warp, const Step& step, LaneMask active);
  bool store(Warp& warp, const Step& step, LaneMask active);
  void addresses(const Warp& warp, Ref base, int width, std::int32_t displacement, LaneMask active,
                 Access& access) const;
  LaneMask take_space(LaneMask lanes, Access& access) const;
  // Resolves the accesses and calls use(lanes): once for all, or for each space that generic addresses lie in.
  template <class Use>
  bool each_space(Warp& warp, ptx::Space space, LaneMask active, Access& access, Use use);
  bool each_access(Warp& warp, ptx::Space space, LaneMask active, Access& access,
                   const std::function<bool(LaneMask)>& use);
  bool resolve(Warp& warp, LaneMask lanes, Access& access);
  bool resolve_global(Warp& warp, LaneMask lanes, Access& access);
  bool resolve_global_lane(Warp& warp, LaneMask lanes, Access& access);
  bool note_written(Warp& warp, LaneMask lanes, const Mapping& mapping, std::uint64_t low, std::uint64_t high,
                    const Access& access);
  bool resolve_shared(Warp& warp, LaneMask lanes, Access& access);
  bool check_shared_written(Warp& warp, LaneMask lanes, std::uint64_t low, std::uint64_t span, const Access& access);
  bool resolve_local(Warp& warp, LaneMask lanes, Access& access);
  bool resolve_parameters(Warp& warp, LaneMask lanes, Access& access);
  bool unwritten(Warp& warp, int lane, const Access& access, const std::string& what);
  bool misaligned(Warp& warp, int lane, const Access& access);
  bool check_races(Warp& warp, LaneMask lanes, const Access& access, bool atomic);
  bool check_race(Warp& warp, int lane, const Access& access, const std::byte* value, bool atomic);
  static bool is_atomic(const ptx::Instruction& instruction);

  // --- atomics.cpp ---
  bool atomic(Warp& warp, const Step& step, LaneMask active);
  bool mbarrier(Warp& warp, const Step& step, LaneMask active);
  bool mbarrier_lane(Warp& warp, const Step& step, int lane, Access& access);

  // --- async_copy.cpp: cp.async ---
  bool copy_async(Warp& warp, const Step& step, LaneMask active);
  bool copy_wait(Warp& warp, const Step& step, LaneMask active);
  bool copy_part(Warp& warp, int lane, const Access& from, std::uint64_t bytes, PendingCopy& copy);
  bool deliver(Warp& warp, LaneMask lanes, std::uint32_t open_groups, bool uncommitted);

  // --- matrix.cpp ---
  bool matrix(Warp& warp, const Step& step);
  bool move_matrices(Warp& warp, const Step& step);
  void multiply(Warp& warp, const Step& step);

  // --- special.cpp ---
  void special(Warp& warp, const Step& step, LaneMask active);
  std::uint64_t special_value(const Warp& warp, ptx::Special which, int lane) const;
  void convert_address(Warp& warp, const Step& step, LaneMask active);
  void is_space(Warp& warp, const Step& step, LaneMask active);

  // --- operands ---
  std::byte* at(const Warp& warp, Ref ref) const {
    std::byte* const bases[3] = {warp.frame, constants_, nullptr};
    return bases[ref.bits & 3] + (ref.bits >> 2);
  }
  std::byte* operand(const Warp& warp, const Step& step, std::size_t i) const {
    return at(warp, program_.ref(step, i));
  }
  // A lane's value of an operand that is no predicate, in the low bytes.
  std::uint64_t value(const Warp& warp, const Step& step, std::size_t i, int lane) const {
    const int width = program_.operand(step, i).bytes;
    std::uint64_t out = 0;
    std::memcpy(&out, operand(warp, step, i) + lane * width, static_cast<std::size_t>(width));
    return out;
  }
  void set_value(const Warp& warp, const Step& step, std::size_t i, int lane, std::uint64_t to) const {
    const int width = program_.operand(step, i).bytes;
    std::memcpy(operand(warp, step, i) + lane * width, &to, static_cast<std::size_t>(width));
  }
  static LaneMask& mask(std::byte* predicate) { return *reinterpret_cast<LaneMask*>(predicate); }

  // --- faults ---
  const Step& step_at(std::uint32_t pc) const { return program_.steps[pc]; }
  std::uint32_t thread_number(const Warp& warp, int lane) const {
    return warp.index * 32 + static_cast<std::uint32_t>(lane);
  }
  Fault make_fault(FaultKind kind, const Warp& warp, int lane, std::uint32_t pc, std::string detail) const;
  bool fail(FaultKind kind, Warp& warp, int lane, std::string detail);  // at the running group's instruction
  bool fail(FaultKind kind, Warp& warp, int lane, const Access& access, std::string detail);

  const Program& program_;
  const Launch& launch_;
  GlobalMemory& memory_;
  const Options& options_;
  std::byte* constants_;
  std::optional<Fault> fault_;
  LaunchStats stats_;

  std::vector<Warp> warps_;
  std::uint32_t threads_ = 0;  // of a block
  AlignedBytes frames_, locals_, shared_;
  std::uint32_t shared_bytes_ = 0;
  std::byte* shared_state_ = nullptr;  // of each byte of shared memory: see kUnwritten
  std::vector<std::byte> parameters_;
  std::array<Barrier, 16> barriers_;
  std::uint32_t live_threads_ = 0;
  std::vector<std::array<std::uint32_t, 3>> thread_indices_;
  std::array<std::uint32_t, 3> block_{};
  std::uint64_t block_number_ = 0;
  std::minstd_rand random_;
  std::unique_ptr<Races> races_;
  std::vector<bool> reported_;                     // instructions whose uninitialised reads are recorded already
  std::array<const Mapping*, 64> last_mapping_{};  // by the low bits of the program counter
};

inline std::uint32_t padded(std::uint32_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// States of a byte of shared memory.
inline constexpr std::byte kUnwritten{0}, kWritten{1}, kInFlight{2};  // kInFlight: a cp.async will write it

}  // namespace hearth::sim::exec
