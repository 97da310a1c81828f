// Modules: loading images, functions and their attributes, occupancy.
#include "sim/cuda/module.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "sim/cuda/functions.h"
#include "sim/machine/forever.h"
#include "sim/machine/say.h"
#include "sim/ptx/parse.h"

namespace hearth::sim::cuda {
namespace {

constexpr int kSharedWithoutOptIn = 48 * 1024;

// The decoded form of a text, kept for the process's life: contexts come and go, the kernels stay the same.
Result<std::shared_ptr<const ptx::Module>> parse_cached(const std::string& text) {
  static auto& cache = forever(new std::map<std::string, std::shared_ptr<const ptx::Module>>);
  if (const auto found = cache.find(text); found != cache.end()) return found->second;
  ASSIGN_OR_RETURN(ptx::Module module, ptx::parse(text));
  auto shared = std::make_shared<const ptx::Module>(std::move(module));
  cache[text] = shared;
  return shared;
}

std::size_t variable_bytes(const ptx::Module& code) {
  std::size_t bytes = 0;
  for (const ptx::Variable& variable : code.variables) bytes += variable.bytes;
  return bytes;
}

}  // namespace

void free_variables(const LoadedModule& module, int device) {
  Driver& driver = Driver::instance();
  exec::free_variables(module.variables, driver.memory.global());
  driver.memory.give(device, module.variable_bytes);
  driver.publish_used(device);
}

CUresult load_module(const std::shared_ptr<Context>& context, const Choice& choice, std::string& log,
                     std::shared_ptr<LoadedModule>& module) {
  if (choice.result != CUDA_SUCCESS) {
    log = choice.message;
    return choice.result;
  }
  auto code = parse_cached(choice.ptx);
  if (!code) {
    log = "ptxas fatal   : " + code.error().message;
    if (code.error().kind == ErrorKind::kUnsupported) {
      say("this PTX is beyond the simulator: " + code.error().message);
    }
    return CUDA_ERROR_INVALID_PTX;
  }
  module = std::make_shared<LoadedModule>();
  module->context = context;
  module->code = *code;
  module->binary_version = choice.binary_version;
  module->variable_bytes = variable_bytes(**code);
  Driver& driver = Driver::instance();
  const int device = context->device;
  if (driver.memory.growth(device, module->variable_bytes) > driver.free_bytes(device)) return CUDA_ERROR_OUT_OF_MEMORY;
  auto placed = exec::place_variables(**code, driver.memory.global(), exec::DeviceMask{1} << device);
  if (!placed) return CUDA_ERROR_OUT_OF_MEMORY;
  module->variables = std::move(*placed);
  driver.memory.take(device, module->variable_bytes);
  driver.publish_used(device);
  return CUDA_SUCCESS;
}

namespace api {
namespace {

// The options that have an effect or an answer; the values are numbers or pointers in the slots of an array.
struct JitOptions {
  void** time_slot = nullptr;
  char* logs[2] = {nullptr, nullptr};    // information, errors
  void** sizes[2] = {nullptr, nullptr};  // in: room; out: bytes written
};

CUresult read_options(unsigned count, CUjit_option* options, void** values, JitOptions& out) {
  if (count > 0 && (options == nullptr || values == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) {
    constexpr int kLastOption = 33;
    if (options[i] < 0 || options[i] > kLastOption) return CUDA_ERROR_INVALID_VALUE;
    switch (options[i]) {
      case CU_JIT_WALL_TIME:
        out.time_slot = &values[i];
        break;
      case CU_JIT_INFO_LOG_BUFFER:
        out.logs[0] = static_cast<char*>(values[i]);
        break;
      case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
        out.sizes[0] = &values[i];
        break;
      case CU_JIT_ERROR_LOG_BUFFER:
        out.logs[1] = static_cast<char*>(values[i]);
        break;
      case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
        out.sizes[1] = &values[i];
        break;
      default:
        break;
    }
  }
  return CUDA_SUCCESS;
}

void write_log(const JitOptions& options, int which, const std::string& text) {
  if (options.logs[which] == nullptr || options.sizes[which] == nullptr) return;
  const auto room = reinterpret_cast<std::size_t>(*options.sizes[which]);
  if (room == 0) return;
  const std::size_t bytes = std::min(room - 1, text.size());
  std::memcpy(options.logs[which], text.data(), bytes);
  options.logs[which][bytes] = '\0';
  *options.sizes[which] = reinterpret_cast<void*>(bytes);
}

struct FunctionRef {
  CUresult result = CUDA_SUCCESS;
  std::shared_ptr<LoadedFunction> function;
};
FunctionRef function_of(CUfunction handle) {
  Driver& driver = Driver::instance();
  const std::shared_ptr<LoadedFunction> function = driver.functions.find(handle);
  if (function == nullptr) return {CUDA_ERROR_INVALID_HANDLE, nullptr};
  const std::shared_ptr<Context> context = function->module->context.lock();
  if (context == nullptr) return {CUDA_ERROR_CONTEXT_IS_DESTROYED, nullptr};
  return {driver.state_of(*context), function};
}

// A compilation that the script makes slow.
void take_time(Driver& driver) {
  const Faults& faults = driver.machine.faults();
  if (faults.slow_compilations.contains(++driver.compilations))
    std::this_thread::sleep_for(std::chrono::duration<double>(faults.compile_seconds));
}

const DeviceProfile& device_of(const LoadedFunction& function) {
  return Driver::instance().devices()[static_cast<std::size_t>(function.module->context.lock()->device)];
}

}  // namespace

CUresult cuModuleLoadDataEx(CUmodule* out, const void* image, unsigned int option_count, CUjit_option* options,
                            void** option_values) {
  CURRENT_CONTEXT(context);
  if (out == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult forbidden = forbid_unsafe_call();
  if (forbidden != CUDA_SUCCESS) return forbidden;
  JitOptions jit;
  const CUresult understood = read_options(option_count, options, option_values, jit);
  if (understood != CUDA_SUCCESS) return understood;
  const auto start = std::chrono::steady_clock::now();
  Driver& driver = Driver::instance();
  const DriverProfile& profile = driver.machine.profile().driver;
  const Target target{driver.devices()[static_cast<std::size_t>(context->device)].compute_capability,
                      profile.cuda_version, profile.newest_ptx};
  const Choice choice = choose_image(read_image(image), target);
  std::string log;
  std::shared_ptr<LoadedModule> module;
  const CUresult result = load_module(context, choice, log, module);
  if (choice.compiled) take_time(driver);
  write_log(jit, 1, result == CUDA_SUCCESS ? "" : log);
  write_log(jit, 0,
            result == CUDA_SUCCESS && choice.compiled ? fmt::format("info    : compiled {} kernels for sm_{}\n",
                                                                    module->code->kernels.size(), choice.binary_version)
                                                      : "");
  if (jit.time_slot != nullptr) {
    const float ms = choice.compiled
                         ? std::chrono::duration<float, std::milli>(std::chrono::steady_clock::now() - start).count()
                         : 0;
    std::memcpy(jit.time_slot, &ms, sizeof(ms));
  }
  if (result == CUDA_SUCCESS) *out = driver.modules.add(std::move(module));
  return result;
}

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return cuModuleLoadData(module, image);
}

CUresult cuModuleLoad(CUmodule* module, const char* path) {
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::ifstream file(path, std::ios::binary);
  if (!file) return CUDA_ERROR_FILE_NOT_FOUND;
  std::stringstream content;
  content << file.rdbuf();
  const std::string bytes = content.str();
  return cuModuleLoadData(module, bytes.c_str());
}

CUresult cuModuleUnload(CUmodule handle) {
  CURRENT_CONTEXT(context);
  Driver& driver = Driver::instance();
  const std::shared_ptr<LoadedModule> module = driver.modules.find(handle);
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult state = synchronize(*context);
  if (state != CUDA_SUCCESS) return state;
  module->unloaded = true;
  driver.functions.remove_if([&](const LoadedFunction& function) { return function.module == module; });
  driver.modules.remove(handle);
  free_variables(*module, context->device);
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction* out, CUmodule handle, const char* name) {
  CURRENT_CONTEXT(context);
  Driver& driver = Driver::instance();
  const std::shared_ptr<LoadedModule> module = driver.modules.find(handle);
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (out == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const ptx::Kernel* kernel = module->code->find_kernel(name);
  if (kernel == nullptr) return CUDA_ERROR_NOT_FOUND;
  // Asked for twice, the same handle is given, as by the real driver.
  CUfunction known = nullptr;
  driver.functions.for_each([&](CUfunction candidate, const std::shared_ptr<LoadedFunction>& function) {
    if (function->module == module && exec::kernel_of(*function->program).name == name) known = candidate;
  });
  if (known == nullptr) {
    auto function = std::make_shared<LoadedFunction>();
    function->module = module;
    function->program = exec::prepare(*module->code, *kernel, module->variables);
    function->max_dynamic_shared = std::max(0, kSharedWithoutOptIn - static_cast<int>(kernel->static_shared_bytes));
    known = driver.functions.add(std::move(function));
  }
  *out = known;
  return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal(CUdeviceptr* address, size_t* bytes, CUmodule handle, const char* name) {
  CURRENT_CONTEXT(context);
  const std::shared_ptr<LoadedModule> module = Driver::instance().modules.find(handle);
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < module->code->variables.size(); ++i) {
    if (module->code->variables[i].name != name) continue;
    if (address != nullptr) *address = module->variables[i];
    if (bytes != nullptr) *bytes = module->code->variables[i].bytes;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
  const FunctionRef ref = function_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const LoadedFunction& function = *ref.function;
  const exec::FunctionAttributes& facts = exec::attributes(*function.program);
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      *value = facts.max_threads;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
      *value = facts.static_shared_bytes;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
      *value = facts.constant_bytes;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
      *value = facts.local_bytes;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
      *value = facts.registers;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
      *value = facts.ptx_version;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
      *value = function.module->binary_version;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
      *value = 0;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      *value = function.max_dynamic_shared;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      *value = -1;
      return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  const FunctionRef ref = function_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  LoadedFunction& function = *ref.function;
  if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) {
    return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0) return CUDA_ERROR_INVALID_VALUE;
  const int fixed = exec::attributes(*function.program).static_shared_bytes;
  if (fixed + value > device_of(function).shared_per_block_optin) return CUDA_ERROR_INVALID_VALUE;
  function.max_dynamic_shared = value;
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction handle, int block_size,
                                                     size_t dynamic_shared_bytes) {
  const FunctionRef ref = function_of(handle);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (blocks == nullptr || block_size <= 0) return CUDA_ERROR_INVALID_VALUE;
  const LoadedFunction& function = *ref.function;
  const DeviceProfile& device = device_of(function);
  const int dynamic = static_cast<int>(std::min<std::size_t>(dynamic_shared_bytes, 1 << 20));
  *blocks = 0;
  if (block_size > exec::attributes(*function.program).max_threads || dynamic > function.max_dynamic_shared)
    return CUDA_SUCCESS;
  constexpr int kFile = 65536;
  const int threads = (block_size + 31) / 32 * 32;
  const int reserved = device.compute_capability >= 80 ? 1024 : 0;
  const int shared = exec::attributes(*function.program).static_shared_bytes + dynamic + reserved;
  *blocks = std::min({device.threads_per_multiprocessor / threads, device.blocks_per_multiprocessor,
                      kFile / (std::max(1, exec::attributes(*function.program).registers) * threads),
                      shared == 0 ? device.blocks_per_multiprocessor : device.shared_per_multiprocessor / shared});
  return CUDA_SUCCESS;
}

}  // namespace api
}  // namespace hearth::sim::cuda
