// Contexts: each device's primary one, and those that programs create themselves.
#include "sim/cuda/functions.h"
#include "sim/cuda/state.h"

namespace hearth::sim::cuda::api {

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  Driver& driver = Driver::instance();
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!driver.is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  Driver::Primary& primary = driver.primary[static_cast<std::size_t>(device)];
  if (primary.context == nullptr && primary.broken != CUDA_SUCCESS) return primary.broken;
  if (primary.context == nullptr) {
    const CUresult made = driver.create_context(device, primary.flags, true, primary.context);
    if (made != CUDA_SUCCESS) return made;
  }
  ++primary.references;
  *context = primary.context->handle;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  Driver& driver = Driver::instance();
  if (!driver.is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  Driver::Primary& primary = driver.primary[static_cast<std::size_t>(device)];
  if (primary.references == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (--primary.references > 0 || primary.context == nullptr) return CUDA_SUCCESS;
  (void)synchronize(*primary.context);
  if (driver.machine.faults().no_reset && !driver.lost(device)) primary.broken = driver.state_of(*primary.context);
  driver.destroy_context(primary.context);
  primary.context = nullptr;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device) {
  Driver& driver = Driver::instance();
  if (!driver.is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  Driver::Primary& primary = driver.primary[static_cast<std::size_t>(device)];
  if (primary.context == nullptr) return CUDA_SUCCESS;
  const CUresult state = driver.state_of(*primary.context);
  if (driver.lost(device)) return state;
  if (state != CUDA_SUCCESS && driver.machine.faults().no_reset) return state;
  driver.destroy_context(primary.context);
  primary.context = nullptr;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags) {
  Driver& driver = Driver::instance();
  if (!driver.is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  constexpr unsigned kKnownFlags = 0x1f;
  if ((flags & ~kKnownFlags) != 0) return CUDA_ERROR_INVALID_VALUE;
  Driver::Primary& primary = driver.primary[static_cast<std::size_t>(device)];
  primary.flags = flags;
  if (primary.context != nullptr) primary.context->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active) {
  Driver& driver = Driver::instance();
  if (!driver.is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (flags == nullptr || active == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Driver::Primary& primary = driver.primary[static_cast<std::size_t>(device)];
  *flags = primary.flags;
  *active = primary.context != nullptr ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  if (context != nullptr && Driver::instance().contexts.find(context) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  set_current_context(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::vector<CUcontext> stack = context_stack();
  *context = stack.empty() ? nullptr : stack.back();
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  if (Driver::instance().contexts.find(context) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  return push_context(context) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  const std::optional<CUcontext> popped = pop_context();
  if (!popped) return CUDA_ERROR_INVALID_CONTEXT;
  if (context != nullptr) *context = *popped;
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() {
  CURRENT_CONTEXT(context);
  return synchronize(*context);
}

CUresult cuCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device) {
  Driver& driver = Driver::instance();
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!driver.is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  std::shared_ptr<Context> made;
  const CUresult result = driver.create_context(device, flags, false, made);
  if (result != CUDA_SUCCESS) return result;
  *context = made->handle;
  return push_context(made->handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams* affinity, unsigned int flags, CUdevice device) {
  if (affinity != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return cuCtxCreate_v2(context, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
  Driver& driver = Driver::instance();
  const std::shared_ptr<Context> context = driver.contexts.find(handle);
  if (context == nullptr || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
  (void)synchronize(*context);
  driver.destroy_context(context);
  const std::vector<CUcontext> stack = context_stack();
  if (!stack.empty() && stack.back() == handle) (void)pop_context();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
  CURRENT_CONTEXT(context);
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *device = context->device;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned int* flags) {
  CURRENT_CONTEXT(context);
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = context->flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (handle != nullptr && Driver::instance().contexts.find(handle) == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  constexpr unsigned kVersion = 3020;  // what drivers have answered since CUDA 3.2
  *version = kVersion;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  CURRENT_CONTEXT(context);
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (limit != CU_LIMIT_STACK_SIZE) return CUDA_ERROR_UNSUPPORTED_LIMIT;
  *value = 1024;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t) {
  CURRENT_CONTEXT(context);
  // Local memory is as large as the kernel needs; there is no device-side printf or malloc.
  return limit == CU_LIMIT_STACK_SIZE ? CUDA_SUCCESS : CUDA_ERROR_UNSUPPORTED_LIMIT;
}

CUresult cuCtxEnablePeerAccess(CUcontext handle, unsigned int flags) {
  CURRENT_CONTEXT(context);
  Driver& driver = Driver::instance();
  const std::shared_ptr<Context> peer = driver.contexts.find(handle);
  if (peer == nullptr || peer == context) return CUDA_ERROR_INVALID_CONTEXT;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  int possible = 0;
  (void)cuDeviceCanAccessPeer(&possible, context->device, peer->device);
  if (possible == 0) return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  if (!context->peers.insert(peer->device).second) return CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
  driver.memory.set_peer_access(context->device, peer->device, true);
  return CUDA_SUCCESS;
}

CUresult cuCtxDisablePeerAccess(CUcontext handle) {
  CURRENT_CONTEXT(context);
  Driver& driver = Driver::instance();
  const std::shared_ptr<Context> peer = driver.contexts.find(handle);
  if (peer == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (context->peers.erase(peer->device) == 0) return CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
  driver.memory.set_peer_access(context->device, peer->device, false);
  return CUDA_SUCCESS;
}

}  // namespace hearth::sim::cuda::api
