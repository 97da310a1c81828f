// Execution of kernels: prepared once, launched many times.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/exec/fault.h"
#include "sim/exec/memory.h"
#include "sim/ptx/ir.h"

namespace hearth::sim::exec {

// What cuFuncGetAttribute tells. Registers are an estimate: the real number is ptxas's.
struct FunctionAttributes {
  int registers = 0;            // per thread
  int max_threads = 1024;       // per block, from .maxntid or from the registers
  int static_shared_bytes = 0;  // fixed; dynamic shared memory comes on top
  int local_bytes = 0;          // per thread
  int constant_bytes = 0;       // of the module
  int parameter_bytes = 0;      // of one launch
  int ptx_version = 0;          // 75: compiled from PTX for compute capability 7.5
};
FunctionAttributes attributes(const ptx::Module& module, const ptx::Kernel& kernel);

// Gives the module's variables memory on the device and writes their initial values; the addresses are in the order
// of Module::variables (0 for those of no size). On an error nothing is left allocated. kNoMemory.
Result<std::vector<Address>> place_variables(const ptx::Module& module, GlobalMemory& memory, DeviceMask devices);
void free_variables(const std::vector<Address>& addresses, GlobalMemory& memory);

// A kernel, ready to run: decoded further, with the addresses of its module's variables. Immutable, to be shared.
class Program;
std::shared_ptr<const Program> prepare(const ptx::Module& module, const ptx::Kernel& kernel,
                                       std::span<const Address> variables);
const FunctionAttributes& attributes(const Program& program);
const ptx::Kernel& kernel_of(const Program& program);  // a copy that lives as long as the program

struct Launch {
  std::array<std::uint32_t, 3> grid{1, 1, 1};
  std::array<std::uint32_t, 3> block{1, 1, 1};
  std::uint32_t dynamic_shared_bytes = 0;
  std::vector<std::byte> arguments;  // exactly parameter_bytes: each parameter at its offset (kernel_of().parameters)
};

enum class Uninitialised : std::uint8_t { kFault, kRecord, kIgnore };

struct Options {
  std::uint64_t seed = 1;   // decides the order of blocks and how the warps of a block interleave
  int device = 0;           // whose kernel it is: decides which memory it may access
  int multiprocessors = 1;  // what %nsmid tells
  std::uint64_t grid_id = 0;
  int host_threads = 1;  // results do not depend on it, save through atomics
  Uninitialised uninitialised = Uninitialised::kFault;
  bool detect_races = false;
  bool count_steps = false;  // fills LaunchStats::executed
  // Of one warp. Beyond it the kernel counts as an endless loop.
  std::uint64_t max_warp_instructions = std::uint64_t{1} << 28;
  // Instructions a warp executes at most before another one gets its turn (on average half of it).
  std::uint32_t quantum = 512;
};

struct LaunchStats {
  std::uint64_t warp_instructions = 0;
  std::uint64_t thread_instructions = 0;   // the same, times the lanes that took part
  std::vector<std::uint64_t> executed;     // Options::count_steps: warp instructions by the line of the PTX text
  std::vector<Fault> uninitialised_reads;  // Uninitialised::kRecord: the first few, one per instruction
};

struct LaunchResult {
  std::optional<Fault> fault;  // memory holds whatever had been written by then
  LaunchStats stats;
};

// Runs all blocks to their end. The program and the memory may be used by several launches at a time only if these
// would be legal on a GPU.
LaunchResult launch(const Program& program, const Launch& launch, GlobalMemory& memory, const Options& options = {});

}  // namespace hearth::sim::exec
