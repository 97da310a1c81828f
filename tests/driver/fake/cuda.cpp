// A small libcuda.so.1 for the tests of the loader and the handles. Environment:
//   FAKE_CUDA_VERSION   what cuDriverGetVersion() tells (12040)
//   FAKE_CUDA_INIT      what cuInit() answers: a number, or "hang"
//   FAKE_CUDA_CONTEXT   what retaining a context answers
//   FAKE_CUDA_FREE      granules of memory that may be allocated at the same time (16)
//   FAKE_CUDA_ACCESS    what making memory accessible answers
//   FAKE_CUDA_STREAM    what waiting for a stream answers
//   FAKE_CUDA_MODULE    what loading kernels answers (218)
//   FAKE_CUDA_CAPABILITY, FAKE_CUDA_COMPUTE_MODE  (89, 0)
// Its one GPU has a name and counts memory; it computes nothing. Every function that is missing here: generic.cpp.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "driver/cuda_abi.h"

namespace {

int number(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : otherwise;
}

CUresult answer(const char* variable) {
  return static_cast<CUresult>(number(variable, CUDA_SUCCESS));
}

constexpr size_t kGranule_bytes = 2 << 20;
constexpr CUdeviceptr kBase = 0x7f0000000000;
std::set<CUmemGenericAllocationHandle> allocated;
std::set<CUdeviceptr> mapped, accessible;
CUmemGenericAllocationHandle next_handle = 1;
thread_local CUcontext current = nullptr;
int context_users = 0;
int stream_queries = 0, stream_waits = 0;

}  // namespace

extern "C" {

CUresult cuInit(unsigned) {
  const char* text = std::getenv("FAKE_CUDA_INIT");
  if (text != nullptr && std::string_view(text) == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
  return answer("FAKE_CUDA_INIT");
}

CUresult cuDriverGetVersion(int* version) {
  *version = number("FAKE_CUDA_VERSION", 12040);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
  *count = 1;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  if (ordinal != 0) return CUDA_ERROR_INVALID_DEVICE;
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice) {
  std::strncpy(name, "Fake GPU", static_cast<size_t>(length));
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice) {
  for (int i = 0; i < 16; ++i) uuid->bytes[i] = static_cast<char>(0xf0 + i);
  return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice) {
  *bytes = size_t{24} << 30;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      *value = number("FAKE_CUDA_CAPABILITY", 89) / 10;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      *value = number("FAKE_CUDA_CAPABILITY", 89) % 10;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
      *value = 10501000;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
      *value = 384;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
      *value = number("FAKE_CUDA_COMPUTE_MODE", 0);
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    case CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED:
      *value = 1;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
      *value = 1 << 10;
      return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
      *value = 64 << 10;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
  if (const CUresult result = answer("FAKE_CUDA_CONTEXT"); result != CUDA_SUCCESS) return result;
  ++context_users;
  *context = reinterpret_cast<CUcontext>(0x100);
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) {
  --context_users;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  current = context;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = current;
  return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  if (current == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *total_bytes = size_t{24} << 30;
  *free_bytes = *total_bytes - (size_t{1} << 30);
  return CUDA_SUCCESS;
}

CUresult cuMemGetAllocationGranularity(size_t* bytes, const CUmemAllocationProp*, CUmemAllocationGranularity_flags) {
  *bytes = kGranule_bytes;
  return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr* address, size_t bytes, size_t, CUdeviceptr, unsigned long long) {
  if (bytes % kGranule_bytes != 0) return CUDA_ERROR_INVALID_VALUE;
  *address = kBase;
  return CUDA_SUCCESS;
}

CUresult cuMemAddressFree(CUdeviceptr, size_t) {
  return mapped.empty() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t bytes, const CUmemAllocationProp* properties,
                     unsigned long long) {
  if (bytes % kGranule_bytes != 0 || properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (allocated.size() >= static_cast<size_t>(number("FAKE_CUDA_FREE", 16))) return CUDA_ERROR_OUT_OF_MEMORY;
  *handle = next_handle++;
  allocated.insert(*handle);
  return CUDA_SUCCESS;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  return allocated.erase(handle) == 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long) {
  if (!allocated.contains(handle) || offset != 0) return CUDA_ERROR_INVALID_VALUE;
  for (size_t at = 0; at < bytes; at += kGranule_bytes) {
    if (!mapped.insert(address + at).second) return CUDA_ERROR_ALREADY_MAPPED;
  }
  return CUDA_SUCCESS;
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kGranule_bytes) {
    if (mapped.erase(address + at) != 1) return CUDA_ERROR_NOT_MAPPED;
    accessible.erase(address + at);
  }
  return CUDA_SUCCESS;
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc*, size_t) {
  if (const CUresult result = answer("FAKE_CUDA_ACCESS"); result != CUDA_SUCCESS) return result;
  for (size_t at = 0; at < bytes; at += kGranule_bytes) {
    if (!mapped.contains(address + at)) return CUDA_ERROR_NOT_MAPPED;
    accessible.insert(address + at);
  }
  return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream* stream, unsigned) {
  *stream = reinterpret_cast<CUstream>(0x200);
  return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream) {
  return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream) {
  ++stream_waits;
  return answer("FAKE_CUDA_STREAM");
}
CUresult cuStreamQuery(CUstream) {
  ++stream_queries;
  if (number("FAKE_CUDA_BUSY_QUERIES", 0) >= stream_queries) return CUDA_ERROR_NOT_READY;
  return answer("FAKE_CUDA_STREAM");
}

CUresult cuMemHostAlloc(void** address, size_t bytes, unsigned) {
  *address = std::malloc(bytes);
  return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void* address) {
  std::free(address);
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* event, unsigned) {
  *event = reinterpret_cast<CUevent>(0x300);
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent) {
  return CUDA_SUCCESS;
}

CUresult cuModuleLoadDataEx(CUmodule*, const void*, unsigned options, CUjit_option* names, void** values) {
  for (unsigned i = 0; i < options; ++i) {
    if (names[i] == CU_JIT_ERROR_LOG_BUFFER) std::strcpy(static_cast<char*>(values[i]), "line 7: unknown\nword\n");
  }
  return static_cast<CUresult>(number("FAKE_CUDA_MODULE", CUDA_ERROR_INVALID_PTX));
}

// For the tests: what is still held.
int fake_allocated() {
  return static_cast<int>(allocated.size());
}
int fake_accessible() {
  return static_cast<int>(accessible.size());
}
int fake_stream_queries() {
  return std::exchange(stream_queries, 0);
}
int fake_stream_waits() {
  return std::exchange(stream_waits, 0);
}
int fake_context_users() {
  return context_users;
}
}
