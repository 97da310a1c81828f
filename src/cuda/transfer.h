// Copies between host and device through two pinned buffers, so that the host fills one while the device reads
// the other: a copy from ordinary memory would wait for a hidden one of the driver's. The host's threads fill a buffer,
// where nobody computes on them: one alone, reading a mapped file, is slower than the way to the device.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <span>

#include "base/host_owner.h"
#include "base/result.h"
#include "driver/handles.h"

namespace hearth::cuda {

class Transfer {
 public:
  static constexpr size_t kBuffer_bytes = 8 << 20;

  static Result<Transfer> create(const driver::Cuda& cuda);

  // Returns when `from` has been read; the copy may still be under way.
  Status upload(std::span<const std::byte> from, CUdeviceptr to);
  // Work queued on `stream` from now on waits for all uploads so far.
  Status order(const driver::Stream& stream);
  // Waits, for each buffer's worth like Stream::synchronize(spin). What the bytes depend on must have been queued on
  // `stream`.
  Status download(CUdeviceptr from, std::span<std::byte> to, const driver::Stream& stream,
                  std::chrono::microseconds spin = {});

 private:
  struct Buffer {
    driver::PinnedMemory memory;
    driver::Event free;  // recorded after the copy that reads it
    bool used = false;
  };

  void copy(std::span<const std::byte> from, std::byte* to);

  const driver::Cuda* cuda_ = nullptr;
  std::shared_ptr<HostOwner::Member> host_;  // null: no more threads could be had
  driver::Stream stream_;
  std::array<Buffer, 2> buffers_;
  size_t next_ = 0;
  bool pending_ = false;  // uploads that order() has not made anybody wait for
};

}  // namespace hearth::cuda
