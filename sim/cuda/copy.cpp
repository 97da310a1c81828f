#include "sim/cuda/copy.h"

#include <chrono>
#include <cstring>
#include <thread>

#include "sim/cuda/functions.h"

namespace hearth::sim::cuda {
namespace {

// From the first byte to the last that a copy touches at this end.
std::size_t extent(const CopyEnd& end, const Copy& copy) {
  return (copy.depth - 1) * end.slice + (copy.height - 1) * end.pitch + copy.width;
}

bool is_empty(const Copy& copy) {
  return copy.width == 0 || copy.height == 0 || copy.depth == 0;
}

CUresult check_device_end(const CopyEnd& end, const Copy& copy) {
  if (end.host) return end.address == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  const bool exists = Driver::instance().memory.exists(end.address, extent(end, copy));
  return exists ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

std::optional<exec::Fault> copy_row(const CopyEnd& to, const CopyEnd& from, std::size_t to_offset,
                                    std::size_t from_offset, std::size_t bytes) {
  exec::GlobalMemory& memory = Driver::instance().memory.global();
  if (!from.host && !to.host) return memory.copy(to.address + to_offset, from.address + from_offset, bytes);
  if (!from.host) {
    return memory.read(from.address + from_offset, {reinterpret_cast<std::byte*>(to.address) + to_offset, bytes});
  }
  const std::byte* source = from.staged != nullptr ? from.staged->data() + from_offset
                                                   : reinterpret_cast<const std::byte*>(from.address) + from_offset;
  if (!to.host) return memory.write(to.address + to_offset, {source, bytes});
  std::memmove(reinterpret_cast<std::byte*>(to.address) + to_offset, source, bytes);
  return std::nullopt;
}

// Pinned memory that was unpinned while the copy waited is gone for the device too.
bool lost_its_pin(const CopyEnd& end, const Copy& copy) {
  if (!end.host || end.staged != nullptr || copy.waited_for) return false;
  return !Driver::instance().memory.is_pinned(end.address, extent(end, copy));
}

CUresult fail(Context& context, const exec::Fault& fault) {
  Driver::instance().raise(context, CUDA_ERROR_ILLEGAL_ADDRESS, fault.message());
  return CUDA_ERROR_ILLEGAL_ADDRESS;
}

CUresult run(const Copy& copy, Context& context) {
  Driver& driver = Driver::instance();
  if (lost_its_pin(copy.to, copy) || lost_its_pin(copy.from, copy)) {
    driver.raise(context, CUDA_ERROR_ILLEGAL_ADDRESS, "a queued copy uses host memory that has been unpinned since");
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  }
  for (std::size_t z = 0; z < copy.depth; ++z) {
    for (std::size_t y = 0; y < copy.height; ++y) {
      const auto fault = copy_row(copy.to, copy.from, z * copy.to.slice + y * copy.to.pitch,
                                  z * copy.from.slice + y * copy.from.pitch, copy.width);
      if (fault) return fail(context, *fault);
    }
  }
  if (const double speed = driver.machine.faults().copy_mib_per_s; speed > 0) {
    const double mib = static_cast<double>(copy.width * copy.height * copy.depth) / (1 << 20);
    std::this_thread::sleep_for(std::chrono::duration<double>(mib / speed));
  }
  return CUDA_SUCCESS;
}

CUresult run(const Fill& fill, Context& context) {
  const auto fault = Driver::instance().memory.global().fill(fill.to, fill.count, fill.value, fill.unit);
  return fault ? fail(context, *fault) : CUDA_SUCCESS;
}

CUresult run(const HostCall& call, Context&) {
  call.function(call.data);
  return CUDA_SUCCESS;
}

CUresult run(const Nothing&, Context&) {
  return CUDA_SUCCESS;
}

}  // namespace

CUresult run(const KernelLaunch& launch, Context& context);  // launch.cpp

CUresult execute(const Operation& operation, Context& context) {
  return std::visit([&](const auto& kind) { return run(kind, context); }, operation);
}

CopyEnd device_end(CUdeviceptr address) {
  return {false, address, 0, 0, nullptr};
}
CopyEnd host_end(const void* address) {
  return {true, reinterpret_cast<std::uint64_t>(address), 0, 0, nullptr};
}
CopyEnd any_end(CUdeviceptr address) {
  return Driver::instance().memory.is_device_address(address) ? device_end(address)
                                                              : host_end(reinterpret_cast<const void*>(address));
}

bool is_pageable(const CopyEnd& end, std::size_t bytes) {
  return end.host && end.staged == nullptr && !Driver::instance().memory.is_pinned(end.address, bytes);
}

CUresult make_copy(CopyEnd to, CopyEnd from, std::size_t bytes, Copy& copy) {
  copy = {std::move(to), std::move(from), bytes, 1, 1, false};
  if (bytes == 0) return CUDA_SUCCESS;
  const CUresult at_to = check_device_end(copy.to, copy);
  return at_to != CUDA_SUCCESS ? at_to : check_device_end(copy.from, copy);
}

CUresult make_copy(const Context&, const CUDA_MEMCPY3D& p, Copy& copy) {
  const auto end = [&](CUmemorytype type, const void* host, CUdeviceptr device, std::size_t pitch, std::size_t height,
                       std::size_t x, std::size_t y, std::size_t z) {
    CopyEnd result = type == CU_MEMORYTYPE_HOST     ? host_end(host)
                     : type == CU_MEMORYTYPE_DEVICE ? device_end(device)
                                                    : any_end(device);
    result.pitch = pitch != 0 ? pitch : p.WidthInBytes;
    result.slice = result.pitch * (height != 0 ? height : p.Height);
    result.address += z * result.slice + y * result.pitch + x;
    return result;
  };
  if (p.srcMemoryType == CU_MEMORYTYPE_ARRAY || p.dstMemoryType == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  copy.to = end(p.dstMemoryType, p.dstHost, p.dstDevice, p.dstPitch, p.dstHeight, p.dstXInBytes, p.dstY, p.dstZ);
  copy.from = end(p.srcMemoryType, p.srcHost, p.srcDevice, p.srcPitch, p.srcHeight, p.srcXInBytes, p.srcY, p.srcZ);
  copy.width = p.WidthInBytes;
  copy.height = p.Height;
  copy.depth = p.Depth;
  if (is_empty(copy)) return CUDA_ERROR_INVALID_VALUE;
  if (p.srcLOD != 0 || p.dstLOD != 0) return CUDA_ERROR_INVALID_VALUE;
  if (copy.to.pitch < copy.width || copy.from.pitch < copy.width) return CUDA_ERROR_INVALID_VALUE;
  const CUresult at_to = check_device_end(copy.to, copy);
  if (at_to != CUDA_SUCCESS) return at_to;
  // The driver reads and writes pageable memory when the graph runs; nobody else waits for that.
  copy.waited_for = is_pageable(copy.to, extent(copy.to, copy)) || is_pageable(copy.from, extent(copy.from, copy));
  return check_device_end(copy.from, copy);
}

namespace api {
namespace {

// The asynchronous copies: of pinned memory later, when it is the stream's turn; of pageable memory before the call
// returns, as far as the host is concerned.
CUresult copy_async(CopyEnd to, CopyEnd from, std::size_t bytes, CUstream stream) {
  const StreamRef ref = stream_of(stream);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  const bool to_pageable = is_pageable(to, bytes);
  Copy copy;
  const CUresult made = make_copy(std::move(to), std::move(from), bytes, copy);
  if (made != CUDA_SUCCESS || bytes == 0) return made;
  const bool from_pageable = is_pageable(copy.from, bytes);
  if ((to_pageable || from_pageable) && ref.stream->capture != nullptr) return forbid_in_capture(*ref.stream);
  if (from_pageable) {
    const auto* source = reinterpret_cast<const std::byte*>(copy.from.address);
    copy.from.staged = std::make_shared<std::vector<std::byte>>(source, source + bytes);
  }
  copy.waited_for = to_pageable;
  const CUresult queued = submit(ref, std::move(copy));
  if (queued != CUDA_SUCCESS || !to_pageable) return queued;
  Driver& driver = Driver::instance();
  driver.scheduler.finish(ref.stream->last);
  return driver.state_of(*ref.context);
}

CUresult copy_and_wait(CopyEnd to, CopyEnd from, std::size_t bytes) {
  CURRENT_CONTEXT(context);
  Copy copy;
  const CUresult made = make_copy(std::move(to), std::move(from), bytes, copy);
  if (made != CUDA_SUCCESS || bytes == 0) return made;
  copy.waited_for = true;
  return submit_and_wait(context, std::move(copy));
}

CUresult fill_async(CUdeviceptr to, unsigned value, unsigned unit, std::size_t count, CUstream stream) {
  const StreamRef ref = stream_of(stream);
  if (ref.result != CUDA_SUCCESS) return ref.result;
  if (to % unit != 0 || !Driver::instance().memory.exists(to, count * unit)) return CUDA_ERROR_INVALID_VALUE;
  return count == 0 ? CUDA_SUCCESS : submit(ref, Fill{to, count, value, unit});
}

CUresult fill_and_wait(CUdeviceptr to, unsigned value, unsigned unit, std::size_t count) {
  CURRENT_CONTEXT(context);
  if (to % unit != 0 || !Driver::instance().memory.exists(to, count * unit)) return CUDA_ERROR_INVALID_VALUE;
  return count == 0 ? CUDA_SUCCESS : submit_and_wait(context, Fill{to, count, value, unit});
}

}  // namespace

CUresult cuMemcpyHtoD(CUdeviceptr to, const void* from, size_t bytes) {
  return copy_and_wait(device_end(to), host_end(from), bytes);
}
CUresult cuMemcpyDtoH(void* to, CUdeviceptr from, size_t bytes) {
  return copy_and_wait(host_end(to), device_end(from), bytes);
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copy_and_wait(device_end(to), device_end(from), bytes);
}
CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copy_and_wait(any_end(to), any_end(from), bytes);
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return copy_async(device_end(to), host_end(from), bytes, stream);
}
CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy_async(host_end(to), device_end(from), bytes, stream);
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy_async(device_end(to), device_end(from), bytes, stream);
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy_async(any_end(to), any_end(from), bytes, stream);
}
CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes,
                           CUstream stream) {
  Driver& driver = Driver::instance();
  for (const auto& [handle, address] : {std::pair{to_context, to}, std::pair{from_context, from}}) {
    const std::shared_ptr<Context> context = driver.contexts.find(handle);
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    const std::optional<int> device = driver.memory.device_of(address);
    if (!device || *device != context->device) return CUDA_ERROR_INVALID_VALUE;
  }
  return copy_async(device_end(to), device_end(from), bytes, stream);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
  return fill_async(to, value, 1, bytes, stream);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
  return fill_async(to, value, 4, count, stream);
}
CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t bytes) {
  return fill_and_wait(to, value, 1, bytes);
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned int value, size_t count) {
  return fill_and_wait(to, value, 4, count);
}

}  // namespace api
}  // namespace hearth::sim::cuda
