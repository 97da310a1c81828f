#include "fleet/gpus.h"

#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "driver/probe.h"

namespace hearth::fleet {
namespace {

// Signs of a GPU, or of somebody's will to have one, that make "it is not used" worth a message.
bool expects_gpu(const driver::Problem& problem) {
  return problem.name != "no-driver-library" || driver::look_at_machine().has_gpu();
}

Cause without_kernels() {
  driver::Problem ignored;
  Cause cause{"hearth-without-kernels"};
  cause.noteworthy = driver::Cuda::open(&ignored).ok() || expects_gpu(ignored);
  return cause;
}

Cause cause_of_problem(const driver::Problem& problem) {
  Cause cause = problem.with_code();
  cause.noteworthy = expects_gpu(problem);
  return cause;
}

engine::DeviceFactory factory_of(const cuda::CudaOptions& options, std::unique_ptr<device::Device> opened) {
  const auto first = std::make_shared<std::unique_ptr<device::Device>>(std::move(opened));
  return [options, first]() -> Result<std::unique_ptr<device::Device>> {
    if (*first != nullptr) return std::move(*first);
    return cuda::create_device(options);
  };
}

}  // namespace

GpuPolicy gpu_policy(const std::string& name) {
  if (name == "require") return GpuPolicy::kRequire;
  return name == "off" ? GpuPolicy::kOff : GpuPolicy::kAuto;
}

GpuSearch find_gpus(const cuda::CompileProgress& compiling, const std::string& holder) {
  if (!cuda::has_kernels()) return {{}, without_kernels()};
  driver::Problem problem;
  const auto cuda = driver::Cuda::open(&problem);
  if (!cuda) return {{}, cause_of_problem(problem)};
  int count = 0;
  const CUresult counted = (*cuda)->cuDeviceGetCount(&count);
  if (counted != CUDA_SUCCESS || count <= 0) {
    return {{}, driver::problem_of(counted != CUDA_SUCCESS ? counted : CUDA_ERROR_NO_DEVICE).with_code()};
  }
  GpuSearch search;
  std::vector<Error> failures;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    const cuda::CudaOptions options{.ordinal = ordinal, .holder = holder, .compiling = compiling};
    auto device = cuda::create_device(options);
    if (device)
      search.gpus.push_back(factory_of(options, std::move(device).value()));
    else
      failures.push_back(device.error());
  }
  if (search.gpus.empty()) {
    search.problem = cause_of(failures.front());
    return search;
  }
  for (const Error& failure : failures) log_warn("a GPU is not used: {}", failure.message);
  return search;
}

std::shared_ptr<engine::CardBook> card_book() {
  static const auto book = std::make_shared<engine::CardBook>();
  return book;
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

Error refused(const Cause& problem) {
  Cause cause = problem;
  cause.during = cause.during.empty() ? "--gpu require" : "--gpu require: " + cause.during;
  return caused(ErrorKind::kRefused, std::move(cause));
}

}  // namespace hearth::fleet
