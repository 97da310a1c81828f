// What a kernel or a copy did wrong, with all that helps to find it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace hearth::sim::exec {

enum class FaultKind : std::uint8_t {
  kInvalidLaunch,       // grid, block, shared memory or arguments that the kernel cannot have: nothing was executed
  kIllegalAddress,      // outside of any allocation, freed, of another device, read-only; shared and local likewise
  kMisaligned,          // not a multiple of the size of the access
  kUninitialisedRead,   // bytes that nobody wrote; data of a cp.async that was not waited for
  kRace,                // threads of a block access shared memory without a barrier between (Options::detect_races)
  kTrap,                // trap; a failed assertion
  kInvalidInstruction,  // a lane outside of its own member mask, a lane's value that does not exist, a bad barrier…
  kDeadlock,            // threads wait for each other, or for what cannot come
  kEndlessLoop,         // Options::max_warp_instructions
};
const char* name_of(FaultKind kind);

struct Fault {
  FaultKind kind{};
  std::string detail;         // one sentence without a period: what was accessed and what is there
  std::uint64_t address = 0;  // as the instruction gave it (of shared and local memory: the offset there)
  std::uint32_t bytes = 0;    // of the access
  bool write = false;
  std::string kernel;      // empty: a copy
  std::uint32_t line = 0;  // of the PTX text; 0: not known
  std::array<std::uint32_t, 3> block{};
  std::array<std::uint32_t, 3> thread{};

  // "illegal address: …, in kernel k, line 12 of its PTX, block (0,0,0), thread (5,0,0)"
  std::string message() const;
};

}  // namespace hearth::sim::exec
