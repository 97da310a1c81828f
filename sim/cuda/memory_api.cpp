// The driver's functions on memory: argument checks, limits, accounts. What they do is in memory.cpp.
#include <algorithm>

#include "sim/cuda/functions.h"
#include "sim/cuda/state.h"

namespace hearth::sim::cuda::api {
namespace {

// Whether that many more bytes of the device fit, and the script does not say otherwise. Counts the attempt.
bool has_room(int device, std::uint64_t growth) {
  Driver& driver = Driver::instance();
  const std::int64_t n = ++driver.device_allocations;
  for (const CallRange& range : driver.machine.faults().out_of_memory) {
    if (range.contains(n)) return false;
  }
  return growth <= driver.free_bytes(device);
}

// Calls on virtual memory name the device; a broken or lost one refuses what would use it.
CUresult device_state(int device) {
  Driver& driver = Driver::instance();
  if (!driver.is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (const auto code = driver.lost(device)) return static_cast<CUresult>(*code);
  const auto& primary = driver.primary[static_cast<std::size_t>(device)].context;
  return primary == nullptr ? CUDA_SUCCESS : primary->sticky;
}

CUresult check_properties(const CUmemAllocationProp* properties) {
  if (properties == nullptr || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
  if (properties->requestedHandleTypes != CU_MEM_HANDLE_TYPE_NONE) return CUDA_ERROR_NOT_SUPPORTED;
  const int device = properties->location.id;
  if (!Driver::instance().is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  const bool able = Driver::instance().devices()[static_cast<std::size_t>(device)].vmm;
  return able ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace

CUresult cuMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  CURRENT_CONTEXT(context);
  if (free_bytes == nullptr || total_bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Driver& driver = Driver::instance();
  *free_bytes = driver.free_bytes(context->device);
  *total_bytes = driver.devices()[static_cast<std::size_t>(context->device)].cuda_total();
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr* address, size_t bytes) {
  CURRENT_CONTEXT(context);
  if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult forbidden = forbid_unsafe_call();
  if (forbidden != CUDA_SUCCESS) return forbidden;
  Driver& driver = Driver::instance();
  const std::uint64_t total = driver.devices()[static_cast<std::size_t>(context->device)].cuda_total();
  const bool sane = bytes <= total;
  if (!has_room(context->device, sane ? driver.memory.growth(context->device, bytes) : total + 1)) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *address = driver.memory.allocate(context->device, context.get(), bytes);
  driver.publish_used(context->device);
  return *address != 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemFree(CUdeviceptr address) {
  CURRENT_CONTEXT(context);
  if (address == 0) return CUDA_SUCCESS;
  const CUresult forbidden = forbid_unsafe_call();
  if (forbidden != CUDA_SUCCESS) return forbidden;
  Driver& driver = Driver::instance();
  const auto range = driver.memory.allocation_at(address);
  if (!range || range->address != address) return CUDA_ERROR_INVALID_VALUE;
  // Like hardware, frees after the work that is queued: a free waits for the device.
  const CUresult state = synchronize(*context);
  if (state != CUDA_SUCCESS) return state;
  const std::optional<int> device = driver.memory.free(address);
  driver.publish_used(*device);
  return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  CURRENT_CONTEXT(context);
  const auto range = Driver::instance().memory.allocation_at(address);
  if (!range) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = range->address;
  if (bytes != nullptr) *bytes = range->bytes;
  return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void** address, size_t bytes, unsigned int flags) {
  CURRENT_CONTEXT(context);
  constexpr unsigned kKnown = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
  if (address == nullptr || bytes == 0 || (flags & ~kKnown) != 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult forbidden = forbid_unsafe_call();
  if (forbidden != CUDA_SUCCESS) return forbidden;
  *address = Driver::instance().memory.allocate_host(context.get(), bytes);
  return *address == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

CUresult cuMemAllocHost_v2(void** address, size_t bytes) {
  return cuMemHostAlloc(address, bytes, 0);
}

CUresult cuMemFreeHost(void* address) {
  CURRENT_CONTEXT(context);
  Driver& driver = Driver::instance();
  if (!driver.memory.is_pinned(reinterpret_cast<std::uint64_t>(address), 1)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult state = synchronize(*context);
  if (state != CUDA_SUCCESS) return state;
  return driver.memory.free_host(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemHostRegister(void* address, size_t bytes, unsigned int flags) {
  CURRENT_CONTEXT(context);
  constexpr unsigned kKnown = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY;
  if (address == nullptr || bytes == 0 || (flags & ~kKnown) != 0) return CUDA_ERROR_INVALID_VALUE;
  return Driver::instance().memory.register_host(context.get(), address, bytes,
                                                 (flags & CU_MEMHOSTREGISTER_READ_ONLY) != 0);
}

CUresult cuMemHostUnregister(void* address) {
  CURRENT_CONTEXT(context);
  const CUresult state = synchronize(*context);
  if (state != CUDA_SUCCESS) return state;
  return Driver::instance().memory.unregister_host(address);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* device, void* host, unsigned int flags) {
  CURRENT_CONTEXT(context);
  const auto address = reinterpret_cast<std::uint64_t>(host);
  if (device == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (!Driver::instance().memory.is_pinned(address, 1)) return CUDA_ERROR_INVALID_VALUE;
  *device = address;
  return CUDA_SUCCESS;
}

CUresult cuMemGetAllocationGranularity(size_t* bytes, const CUmemAllocationProp* properties,
                                       CUmemAllocationGranularity_flags) {
  const CUresult checked = check_properties(properties);
  if (checked != CUDA_SUCCESS) return checked;
  if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *bytes = kGranularity;
  return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr* address, size_t bytes, size_t alignment, CUdeviceptr wanted,
                             unsigned long long flags) {
  if (address == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Driver::instance().memory.reserve(*address, bytes, alignment, wanted);
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
  return Driver::instance().memory.release_reservation(address, bytes);
}

CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t bytes, const CUmemAllocationProp* properties,
                     unsigned long long flags) {
  const CUresult checked = check_properties(properties);
  if (checked != CUDA_SUCCESS) return checked;
  if (handle == nullptr || flags != 0 || bytes == 0 || bytes % kGranularity != 0) return CUDA_ERROR_INVALID_VALUE;
  const int device = properties->location.id;
  const CUresult state = device_state(device);
  if (state != CUDA_SUCCESS) return state;
  if (!has_room(device, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  Driver& driver = Driver::instance();
  *handle = driver.memory.create(device, bytes);
  driver.publish_used(device);
  return *handle != 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  Driver& driver = Driver::instance();
  const std::optional<int> device = driver.memory.release(handle);
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  driver.publish_used(*device);
  return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Driver::instance().memory.map(address, bytes, offset, handle);
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  Driver& driver = Driver::instance();
  // Does not wait: work that still uses the addresses meets an illegal one.
  const CUresult result = driver.memory.unmap(address, bytes);
  for (std::size_t i = 0; i < driver.devices().size(); ++i) driver.publish_used(static_cast<int>(i));
  return result;
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc* access, size_t count) {
  if (access == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < count; ++i) {
    if (access[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
    const CUresult state = device_state(access[i].location.id);
    if (state != CUDA_SUCCESS) return state;
    const CUresult set = Driver::instance().memory.set_access(address, bytes, access[i].location.id, access[i].flags);
    if (set != CUDA_SUCCESS) return set;
  }
  return CUDA_SUCCESS;
}

}  // namespace hearth::sim::cuda::api
