// The CPU as a device: it computes in the turns of a member of the host's owner (base/host_owner.h), each step in one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/host_owner.h"
#include "base/result.h"
#include "device/device.h"

namespace hearth::cpu {

struct CpuOptions {
  int threads = 0;  // 0: as many as the affinity mask and the cgroup's quota allow; never more than that
  // Its part in the host, with threads of its own number; none: a new part, of `threads`. The member of one model
  // serves one device at a time.
  std::shared_ptr<HostOwner::Member> host = nullptr;
  std::string isa = {};  // "", or one of supported_isas(): forces an instruction set
};

// Instruction sets that this machine runs, best first: "amx", "avx512", "avx2", "generic".
std::vector<std::string> supported_isas();

// Errors: kUsage (unknown instruction set or thread count), kUnsupported (one that this machine lacks).
Result<std::unique_ptr<device::Device>> create_device(const CpuOptions& options);

}  // namespace hearth::cpu
