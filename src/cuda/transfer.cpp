#include "cuda/transfer.h"

#include <algorithm>
#include <cstring>

namespace hearth::cuda {

Result<Transfer> Transfer::create(const driver::Cuda& cuda) {
  Transfer transfer;
  transfer.cuda_ = &cuda;
  ASSIGN_OR_RETURN(transfer.stream_, driver::Stream::create(cuda));
  for (Buffer& buffer : transfer.buffers_) {
    ASSIGN_OR_RETURN(buffer.memory, driver::PinnedMemory::alloc(cuda, kBuffer_bytes));
    ASSIGN_OR_RETURN(buffer.free, driver::Event::create(cuda));
  }
  return transfer;
}

Status Transfer::upload(std::span<const std::byte> from, CUdeviceptr to) {
  while (!from.empty()) {
    Buffer& buffer = buffers_[next_];
    next_ = (next_ + 1) % buffers_.size();
    if (buffer.used) TRY(buffer.free.synchronize());
    const size_t bytes = std::min(from.size(), kBuffer_bytes);
    std::memcpy(buffer.memory.data(), from.data(), bytes);
    TRY(driver::check(cuda_->cuMemcpyHtoDAsync(to, buffer.memory.data(), bytes, stream_.get()), "copying to the GPU"));
    TRY(buffer.free.record(stream_));
    buffer.used = pending_ = true;
    from = from.subspan(bytes);
    to += bytes;
  }
  return {};
}

Status Transfer::order(const driver::Stream& stream) {
  if (!pending_) return {};
  // Copies of one stream end in their order: the last buffer's event stands for all.
  TRY(stream.wait(buffers_[(next_ + 1) % buffers_.size()].free));
  pending_ = false;
  return {};
}

Status Transfer::download(CUdeviceptr from, std::span<std::byte> to, const driver::Stream& stream) {
  TRY(order(stream));
  while (!to.empty()) {
    Buffer& buffer = buffers_[next_];
    if (buffer.used) TRY(buffer.free.synchronize());
    buffer.used = false;
    const size_t bytes = std::min(to.size(), kBuffer_bytes);
    TRY(driver::check(cuda_->cuMemcpyDtoHAsync(buffer.memory.data(), from, bytes, stream.get()),
                      "copying from the GPU"));
    TRY(stream.synchronize());
    std::memcpy(to.data(), buffer.memory.data(), bytes);
    to = to.subspan(bytes);
    from += bytes;
  }
  return {};
}

}  // namespace hearth::cuda
