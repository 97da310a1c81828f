#include "cuda/transfer.h"

#include <algorithm>
#include <cstring>
#include <system_error>

#include "base/checked.h"

namespace hearth::cuda {
namespace {

constexpr int kMost_threads = 8;
constexpr size_t kPiece_bytes = 512 << 10;

std::shared_ptr<HostOwner::Member> join_host() {
  try {
    return HostOwner::of_process()->join(kMost_threads);
  } catch (const std::system_error&) {  // slower, but no reason to do without the GPU
    return nullptr;
  }
}

}  // namespace

Result<Transfer> Transfer::create(const driver::Cuda& cuda) {
  Transfer transfer;
  transfer.cuda_ = &cuda;
  transfer.host_ = join_host();
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
    copy(from.first(bytes), buffer.memory.data());
    TRY(driver::check(cuda_->cuMemcpyHtoDAsync(to, buffer.memory.data(), bytes, stream_.get()), "copying to the GPU"));
    TRY(buffer.free.record(stream_));
    buffer.used = pending_ = true;
    from = from.subspan(bytes);
    to += bytes;
  }
  return {};
}

void Transfer::copy(std::span<const std::byte> from, std::byte* to) {
  const auto pieces = static_cast<uint32_t>(divide_up(from.size(), kPiece_bytes));
  if (pieces == 1 || host_ == nullptr) {
    std::memcpy(to, from.data(), from.size());
    return;
  }
  host_->for_each_if_free(pieces, [&](uint32_t i) {
    const std::span piece =
        from.subspan(i * kPiece_bytes).first(std::min(kPiece_bytes, from.size() - i * kPiece_bytes));
    std::memcpy(to + i * kPiece_bytes, piece.data(), piece.size());
  });
}

Status Transfer::order(const driver::Stream& stream) {
  if (!pending_) return {};
  // Copies of one stream end in their order: the last buffer's event stands for all.
  TRY(stream.wait(buffers_[(next_ + 1) % buffers_.size()].free));
  pending_ = false;
  return {};
}

Status Transfer::download(CUdeviceptr from, std::span<std::byte> to, const driver::Stream& stream,
                          std::chrono::microseconds spin) {
  TRY(order(stream));
  while (!to.empty()) {
    Buffer& buffer = buffers_[next_];
    if (buffer.used) TRY(buffer.free.synchronize());
    buffer.used = false;
    const size_t bytes = std::min(to.size(), kBuffer_bytes);
    TRY(driver::check(cuda_->cuMemcpyDtoHAsync(buffer.memory.data(), from, bytes, stream.get()),
                      "copying from the GPU"));
    TRY(stream.synchronize(spin));
    std::memcpy(to.data(), buffer.memory.data(), bytes);
    to = to.subspan(bytes);
    from += bytes;
  }
  return {};
}

}  // namespace hearth::cuda
