// The CPU as a device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device.h"

namespace hearth::cpu {

struct CpuOptions {
  int threads = 0;  // 0: as many as the affinity mask and the cgroup's quota allow; never more than that
  std::string isa;  // "", or one of supported_isas(): forces an instruction set
};

// Instruction sets that this machine runs, best first: "avx512", "avx2", "generic".
std::vector<std::string> supported_isas();

// Errors: kUsage (unknown instruction set or thread count), kUnsupported (one that this machine lacks).
Result<std::unique_ptr<device::Device>> create_device(const CpuOptions& options);

}  // namespace hearth::cpu
