#include "cli/gpu.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "cuda/cuda_device.h"
#include "driver/probe.h"

namespace hearth::cli {
namespace {

// Signs of a GPU, or of somebody's will to have one, that make "it is not used" worth a message.
bool expects_gpu(const driver::Problem& problem) {
  return problem.name != "no-driver-library" || driver::look_at_machine().has_gpu();
}

GpuProblem without_kernels() {
  driver::Problem ignored;
  return {"this build of hearth has no GPU kernels", "use a release of hearth, or build it where nvcc is installed",
          driver::Cuda::open(&ignored).ok() || expects_gpu(ignored)};
}

// The GPUs in the order in which to try them.
std::vector<driver::Gpu> best_first(const driver::Cuda& cuda, int count) {
  std::vector<driver::Gpu> gpus;
  for (int i = 0; i < count; ++i) gpus.push_back(driver::static_facts(cuda, i));
  std::ranges::stable_sort(gpus, std::greater(), &driver::Gpu::total_bytes);
  return gpus;
}

}  // namespace

GpuPolicy gpu_policy(const std::string& name) {
  if (name == "require") return GpuPolicy::kRequire;
  return name == "off" ? GpuPolicy::kOff : GpuPolicy::kAuto;
}

GpuSearch find_gpu() {
  if (!cuda::has_kernels()) return {nullptr, without_kernels()};
  driver::Problem problem;
  const auto cuda = driver::Cuda::open(&problem);
  if (!cuda) return {nullptr, {problem.cause_with_code(), problem.remedy, expects_gpu(problem)}};
  int count = 0;
  const CUresult counted = (*cuda)->cuDeviceGetCount(&count);
  if (counted != CUDA_SUCCESS || count <= 0) {
    const driver::Problem none = driver::problem_of(counted != CUDA_SUCCESS ? counted : CUDA_ERROR_NO_DEVICE);
    return {nullptr, {none.cause_with_code(), none.remedy}};
  }
  GpuSearch search;
  for (const driver::Gpu& gpu : best_first(**cuda, count)) {
    auto device = cuda::create_device({.ordinal = gpu.ordinal});
    if (device) {
      search.device = std::move(device).value();
      return search;
    }
    if (search.problem.cause.empty()) search.problem = gpu_problem(device.error());  // of the best
  }
  return search;
}

GpuProblem gpu_problem(const Error& error) {
  const size_t end = error.message.find("; ");
  if (end == std::string::npos) return {error.message, "\"--gpu off\" does without the GPU"};
  return {error.message.substr(0, end), error.message.substr(end + 2)};
}

bool is_gpu_fault(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kNoMemory:
    case ErrorKind::kNoDevice:
    case ErrorKind::kDeviceLost:
    case ErrorKind::kUnsupported:
    case ErrorKind::kIo:
      return true;
    default:
      return false;
  }
}

Error refused(const GpuProblem& problem) {
  return error(ErrorKind::kRefused, "--gpu require: {}; {}", problem.cause, problem.remedy);
}

}  // namespace hearth::cli
