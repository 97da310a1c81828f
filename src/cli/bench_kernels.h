// hearth bench --kernels: its options and what it prints, times beside the limits that were measured in the same run.
#pragma once

#include "cli/arguments.h"
#include "cli/kernel_bench.h"
#include "cli/model_options.h"

namespace hearth::cli {

// `options` must live until the command has run.
void add_kernel_options(Arguments& arguments, KernelBenchOptions& options);

struct DeviceKernels {
  std::string device;
  double bandwidth_bytes_per_s = 0;  // that its memory has by its clock and width; 0: unknown
  KernelReport report;
};

// On the first GPU if there is one and --gpu allows it, else on the CPU. Errors: those of measure_kernels(); kRefused.
Result<DeviceKernels> time_kernels(const ModelOptions& compute, const KernelBenchOptions& options);
// The same, printed.
Status bench_kernels(const ModelOptions& compute, const KernelBenchOptions& options, bool json);

}  // namespace hearth::cli
