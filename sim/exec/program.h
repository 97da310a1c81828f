// A kernel in the form that the interpreter runs: operands resolved to offsets, functions looked up, constants
// broadcast to 32 lanes. Internal to sim/exec.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/exec/lane_ops.h"
#include "sim/exec/launch.h"
#include "sim/exec/mma.h"
#include "sim/ptx/ir.h"

namespace hearth::sim::exec {

// Generic addresses of what is not global memory: the offset plus one of these.
inline constexpr Address kSharedWindow = Address{2} << 56;
inline constexpr Address kLocalWindow = Address{3} << 56;
inline constexpr Address kParamWindow = Address{4} << 56;
inline constexpr Address kWindowMask = Address{0xff} << 56;

// Where an operand lies: an offset from one of three bases in the two low bits.
struct Ref {
  enum Base : std::uint32_t { kFrame = 0, kConstant = 1, kNothing = 2 };
  std::uint32_t bits = kNothing;
  bool none() const { return bits == kNothing; }
  bool constant() const { return (bits & 3) == kConstant; }
};

enum class Kind : std::uint8_t {
  kLane,     // a lane function
  kSpecial,  // mov of a special register
  kLoad,
  kStore,
  kBranch,
  kBranchIndexed,
  kCall,
  kRet,
  kExit,
  kTrap,
  kSynced,   // waits for the lanes of its member mask: shuffles, votes, bar.warp.sync
  kAligned,  // waits for the whole warp: mma, ldmatrix, stmatrix
  kBarrier,
  kActivemask,
  kAtom,
  kCvta,
  kIsspacep,
  kCpAsync,
  kCpAsyncCommit,
  kCpAsyncWait,
  kMbarrier,
  kYield,    // nanosleep
  kNothing,  // fences: memory is always coherent here
};

// Moves one element of each lane between memory and a register. `at`: where each lane's access begins in host memory
// (that of inactive lanes can be read); `offset`: of the element in the access.
using MoveFunction = void (*)(std::byte* reg, std::byte* const* at, std::uint32_t offset, LaneMask active);

struct Step {
  Kind kind{};
  bool guarded = false;
  bool guard_negated = false;
  std::uint8_t address_bytes = 0;  // width of the base register of a memory access
  std::uint32_t guard = 0;         // offset in the frame
  std::uint32_t target = 0;
  std::uint32_t first = 0;  // of the operands in Program::refs
  LaneFunction function = nullptr;
  Ref d, a, b, c, e;  // of a lane function; a: the base of an address; e: the member mask
  std::int32_t displacement = 0;
  std::uint32_t bytes = 0;  // of one lane's access
  const ptx::Instruction* instruction = nullptr;
};

class Program {
 public:
  Program(const ptx::Module& module, const ptx::Kernel& kernel, std::span<const Address> variables);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  const ptx::Kernel kernel;
  const FunctionAttributes attributes;
  std::vector<Step> steps;
  std::vector<Ref> refs;            // as Kernel::operands
  std::vector<MoveFunction> moves;  // for the operands of loads and stores, parallel to refs; nullptr: no element
  std::vector<MmaFunction> mma;     // as Kernel::mma_shapes

  std::byte* constants() const { return reinterpret_cast<std::byte*>(constants_.get()); }
  const ptx::Operand& operand(const Step& step, std::size_t i) const { return kernel.operands[step.first + i]; }
  Ref ref(const Step& step, std::size_t i) const { return refs[step.first + i]; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  Step decode(const ptx::Instruction& instruction);
  void place_constants(std::span<const Address> variables);

  std::unique_ptr<Line[]> constants_;
};

// The function that moves elements of the type into (or out of) registers of that width.
MoveFunction load_function(ptx::Type type, int register_bytes);
MoveFunction store_function(ptx::Type type, int register_bytes);

}  // namespace hearth::sim::exec
