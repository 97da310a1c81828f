#include "cli/gpu.h"

#include "base/error.h"
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

}  // namespace

GpuPolicy gpu_policy(const std::string& name) {
  if (name == "require") return GpuPolicy::kRequire;
  return name == "off" ? GpuPolicy::kOff : GpuPolicy::kAuto;
}

GpuSearch find_gpu() {
  return {nullptr, without_kernels()};
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
