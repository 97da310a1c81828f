// Kernel launches: what can be refused when they are queued, and their execution.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim/cuda/counts.h"
#include "sim/cuda/functions.h"
#include "sim/cuda/graph.h"
#include "sim/cuda/module.h"
#include "sim/machine/forever.h"
#include "sim/machine/say.h"

namespace hearth::sim::cuda {
namespace {

CUresult check_shape(const DeviceProfile& device, const LoadedFunction& function, const KernelLaunch& launch) {
  constexpr std::array<unsigned, 3> kMaxGrid{2147483647, 65535, 65535};
  constexpr std::array<unsigned, 3> kMaxBlock{1024, 1024, 64};
  std::uint64_t threads = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    if (launch.grid[i] == 0 || launch.grid[i] > kMaxGrid[i]) return CUDA_ERROR_INVALID_VALUE;
    if (launch.block[i] == 0 || launch.block[i] > kMaxBlock[i]) return CUDA_ERROR_INVALID_VALUE;
    threads *= launch.block[i];
  }
  const ptx::Kernel& kernel = exec::kernel_of(*function.program);
  const int most = exec::attributes(*function.program).max_threads;
  if (threads > static_cast<std::uint64_t>(most)) return CUDA_ERROR_INVALID_VALUE;
  if (kernel.exact_threads && launch.block != kernel.max_threads) return CUDA_ERROR_INVALID_VALUE;
  if (launch.shared_bytes > static_cast<unsigned>(function.max_dynamic_shared)) return CUDA_ERROR_INVALID_VALUE;
  const std::uint64_t shared = std::uint64_t{kernel.static_shared_bytes} + launch.shared_bytes;
  if (shared > static_cast<std::uint64_t>(device.shared_per_block_optin)) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

// The parameter block, from one pointer per parameter or from a buffer that the caller laid out.
CUresult take_arguments(const ptx::Kernel& kernel, void** parameters, void** extra, std::vector<std::byte>& out) {
  out.assign(kernel.parameter_bytes, std::byte{0});
  if (parameters != nullptr && extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (extra != nullptr) {
    const void* buffer = nullptr;
    std::size_t bytes = 0;
    for (void** entry = extra; *entry != CU_LAUNCH_PARAM_END; entry += 2) {
      if (*entry == CU_LAUNCH_PARAM_BUFFER_POINTER) {
        buffer = entry[1];
      } else if (*entry == CU_LAUNCH_PARAM_BUFFER_SIZE) {
        bytes = *static_cast<std::size_t*>(entry[1]);
      } else {
        return CUDA_ERROR_INVALID_VALUE;
      }
    }
    // A C++ struct may be padded at its end; more or less than that is another kernel's.
    constexpr std::size_t kPadding = 15;
    if (buffer == nullptr || bytes < out.size() || bytes > out.size() + kPadding) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(out.data(), buffer, out.size());
    return CUDA_SUCCESS;
  }
  if (kernel.parameters.empty()) return CUDA_SUCCESS;
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < kernel.parameters.size(); ++i) {
    if (parameters[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(&out[kernel.parameters[i].offset], parameters[i], kernel.parameters[i].bytes);
  }
  return CUDA_SUCCESS;
}

// The result by which hardware would tell of such a fault; what it would not notice counts as a failed launch.
CUresult result_of(exec::FaultKind kind) {
  switch (kind) {
    case exec::FaultKind::kIllegalAddress:
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    case exec::FaultKind::kMisaligned:
      return CUDA_ERROR_MISALIGNED_ADDRESS;
    case exec::FaultKind::kInvalidInstruction:
      return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case exec::FaultKind::kDeadlock:
    case exec::FaultKind::kEndlessLoop:
      return CUDA_ERROR_LAUNCH_TIMEOUT;
    case exec::FaultKind::kInvalidLaunch:
    case exec::FaultKind::kUninitialisedRead:
    case exec::FaultKind::kRace:
    case exec::FaultKind::kTrap:
      return CUDA_ERROR_LAUNCH_FAILED;
  }
  return CUDA_ERROR_LAUNCH_FAILED;
}

// What the user wants to be told of: HEARTH_SIM_UNINITIALISED=fault|report|ignore, HEARTH_SIM_RACES=1,
// HEARTH_SIM_THREADS=N host threads for the blocks of a launch; HEARTH_SIM_COUNTS: see counts.h.
exec::Options read_options() {
  const auto variable = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text == nullptr ? "" : text);
  };
  exec::Options options;
  const std::string uninitialised = variable("HEARTH_SIM_UNINITIALISED");
  options.uninitialised = uninitialised == "fault"    ? exec::Uninitialised::kFault
                          : uninitialised == "ignore" ? exec::Uninitialised::kIgnore
                                                      : exec::Uninitialised::kRecord;
  options.detect_races = variable("HEARTH_SIM_RACES") == "1";
  options.count_steps = counts_wanted();
  options.host_threads = std::max(1, std::atoi(variable("HEARTH_SIM_THREADS").c_str()));
  return options;
}

// Each instruction that read unwritten bytes is told once.
void report_uninitialised(const exec::LaunchStats& stats) {
  static auto& told = forever(new std::set<std::pair<std::string, std::uint32_t>>);
  for (const exec::Fault& fault : stats.uninitialised_reads) {
    if (!told.emplace(fault.kernel, fault.line).second) continue;
    say(fault.message());
  }
}

}  // namespace

CUresult make_launch(const Context& context, const CUDA_KERNEL_NODE_PARAMS& p, KernelLaunch& launch) {
  Driver& driver = Driver::instance();
  launch.function = driver.functions.find(p.func);
  if (launch.function == nullptr || p.kern != nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (launch.function->module->context.lock().get() != &context) return CUDA_ERROR_INVALID_HANDLE;
  launch.grid = {p.gridDimX, p.gridDimY, p.gridDimZ};
  launch.block = {p.blockDimX, p.blockDimY, p.blockDimZ};
  launch.shared_bytes = p.sharedMemBytes;
  const DeviceProfile& device = driver.devices()[static_cast<std::size_t>(context.device)];
  const CUresult shape = check_shape(device, *launch.function, launch);
  if (shape != CUDA_SUCCESS) return shape;
  return take_arguments(exec::kernel_of(*launch.function->program), p.kernelParams, p.extra, launch.arguments);
}

CUresult run(const KernelLaunch& launch, Context& context) {
  static const exec::Options defaults = read_options();
  Driver& driver = Driver::instance();
  driver.machine.note_launch(driver.on_machine(context.device));
  if (const CUresult state = driver.state_of(context); state != CUDA_SUCCESS) return state;  // lost by this launch
  for (const StickyFault& fault : driver.machine.faults().sticky) {
    const bool here = fault.device == driver.on_machine(context.device);
    if (!here || driver.raised.contains(&fault) || !driver.machine.due(fault)) continue;
    driver.raised.insert(&fault);
    driver.raise(context, static_cast<CUresult>(fault.code), "by the fault script");
    return static_cast<CUresult>(fault.code);
  }
  if (launch.function->module->unloaded) {
    driver.raise(context, CUDA_ERROR_ILLEGAL_ADDRESS, "a launch was still queued when its module was unloaded");
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  }
  exec::Options options = defaults;
  options.seed = driver.scheduler.random(~std::uint64_t{0});
  options.device = context.device;
  options.multiprocessors = driver.devices()[static_cast<std::size_t>(context.device)].multiprocessors;
  options.grid_id = static_cast<std::uint64_t>(driver.machine.launches());
  const exec::LaunchResult result =
      exec::launch(*launch.function->program, {launch.grid, launch.block, launch.shared_bytes, launch.arguments},
                   driver.memory.global(), options);
  report_uninitialised(result.stats);
  if (options.count_steps) count_launch(exec::kernel_of(*launch.function->program).name, result.stats);
  if (!result.fault) return CUDA_SUCCESS;
  const CUresult code = result_of(result.fault->kind);
  driver.raise(context, code, result.fault->message());
  return code;
}

namespace api {

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
                        CUstream stream, void** parameters, void** extra) {
  const StreamRef ref = stream_of(stream);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  const CUDA_KERNEL_NODE_PARAMS p{function, grid_x,       grid_y,     grid_z, block_x, block_y,
                                  block_z,  shared_bytes, parameters, extra,  nullptr, nullptr};
  KernelLaunch launch;
  const CUresult made = make_launch(*ref.context, p, launch);
  return made != CUDA_SUCCESS ? made : submit(ref, std::move(launch));
}

}  // namespace api
}  // namespace hearth::sim::cuda
