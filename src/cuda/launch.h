// A step as data: its kernel launches, each after the one before or beside it, so that a step equal to an earlier one
// can be recognised and replayed as one CUDA graph.
//
// Every kernel takes exactly one parameter: a plain struct by value, defined in a header of kernels/ that
// host and device share. The struct has no padding (its header turns on -Wpadded as an error), so that
// equal arguments have equal bytes. What changes from step to step (tokens, positions, page tables, routing) is
// not an argument: it lies in device memory at addresses that stay (see step_tables.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "driver/cuda_abi.h"

namespace hearth::cuda {

struct Extent {
  uint32_t x = 1, y = 1, z = 1;
  bool operator==(const Extent&) const = default;
};

struct Launch {
  CUfunction function = nullptr;
  Extent grid, block;
  uint32_t shared_bytes = 0;             // dynamic
  uint32_t args_at = 0, args_bytes = 0;  // in LaunchList::arguments()
  bool beside = false;                   // may run at the same time as the launch before it, and those beside that
  bool operator==(const Launch&) const = default;
};

class LaunchList {
 public:
  template <class Args>
  void add(CUfunction function, Extent grid, Extent block, uint32_t shared_bytes, const Args& args) {
    static_assert(std::is_trivially_copyable_v<Args>);
    add_bytes(function, grid, block, shared_bytes, std::as_bytes(std::span(&args, 1)));
  }
  void add_bytes(CUfunction function, Extent grid, Extent block, uint32_t shared_bytes,
                 std::span<const std::byte> args);
  // The launch added last neither reads nor writes what the one before it, or one beside that, writes, and likewise the
  // other way round: they wait for the same launches.
  void beside_last();
  void clear();

  const std::vector<Launch>& launches() const { return launches_; }
  // Starts of argument structs are multiples of 16.
  std::span<const std::byte> arguments() const { return arguments_; }
  const std::byte* arguments_of(const Launch& launch) const { return arguments_.data() + launch.args_at; }

  uint64_t hash() const;
  bool operator==(const LaunchList&) const = default;

 private:
  std::vector<Launch> launches_;
  std::vector<std::byte> arguments_;
};

// What tile sizes and the number of blocks depend on.
struct Chip {
  int compute_capability = 0;  // 10 * major + minor
  uint32_t multiprocessors = 0;
  uint32_t shared_bytes_per_block = 0;  // with opt-in
  uint32_t shared_bytes_per_multiprocessor = 0;
  uint32_t reserved_shared_bytes = 0;  // that every block takes besides
  uint32_t l2_bytes = 0;
};

// The kernels, by the file of kernels/ that they are in and by name.
class Kernels {
 public:
  virtual ~Kernels() = default;
  virtual const Chip& chip() const = 0;
  // The kernel must exist; its file is loaded with the first kernel that is wanted of it, which may take seconds, and
  // needs the context to be current. `dynamic_shared_bytes`: the most that it will be launched with (beyond 48 KiB the
  // driver must be told once). Keep what it returns. Errors: kUnsupported if no image of the file suits driver and GPU.
  virtual Result<CUfunction> find(const std::string& source, const std::string& name,
                                  uint32_t dynamic_shared_bytes = 0) = 0;
};

// Rows grouped by expert, made on the device (experts.cu). A slot is one use of an expert by a row:
// slot = row * used + i. Entries [offsets[e], offsets[e + 1]) of `slots` are expert e's, ascending.
// A grouped matmul reads operand row slot / used (gate and up) or slot (down) and writes result row slot.
struct ExpertGroups {
  const uint32_t* offsets = nullptr;  // device, experts + 1
  const uint32_t* slots = nullptr;    // device, slot_count
  uint32_t experts = 0, used = 0, slot_count = 0;
};

}  // namespace hearth::cuda
