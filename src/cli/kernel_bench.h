// hearth bench --kernels: each kind of work of a step by itself, on the sizes of a layer of a model, so that a speed
// that disappoints has a cause.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device.h"

namespace hearth::cli {

struct KernelBenchOptions {
  std::vector<std::string> formats{"F16", "Q8_0", "Q4_K", "Q6_K"};
  std::vector<uint32_t> rows;                              // of activations; none: as many as fit the device
  std::vector<uint32_t> lengths{1024, 4096, 8192, 32768};  // positions that attention looks at
  uint32_t width = 4096, feed_forward = 14336;             // of the layer; heads have 128 values, four share a kv head
  uint32_t vocabulary = 128256;
  uint32_t seconds = 20;  // for all of it, shared by the kinds of work; what does not fit is left out
};

// Once: what it took, and what it moved and calculated. Bytes are those of weights or of the cache, which are much
// larger together than any cache of the device.
struct KernelTime {
  std::string kind, name;  // "project", "Q4_K 28672 x 4096, 4 rows"
  double seconds = 0, bytes = 0, operations = 0;
  bool int8 = false;  // the operations are on 8-bit numbers
};

struct KernelReport {
  device::Limits limits;  // measured in the same run
  std::vector<KernelTime> times;
  std::vector<std::string> skipped;  // "project Q4_K 28672 x 4096, 512 rows": there was no time for them
};

// kUsage for a format that there is not or that nobody can write, and for sizes that are not whole blocks of it.
Status check(const KernelBenchOptions& options);

using Clock = std::function<double()>;  // seconds since some start
double steady_seconds();

// Takes no longer than options.seconds by more than the preparation of one kind of weights or one measurement for which
// nothing before it could say how long it takes. Errors: those of check(), before anything is done; kNoMemory,
// kDeviceLost.
Result<KernelReport> measure_kernels(device::Device& device, const KernelBenchOptions& options,
                                     const Clock& now = steady_seconds);

}  // namespace hearth::cli
