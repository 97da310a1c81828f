// The batch of a step in device memory (kernels/step.h), and the small tables that ops keep there: packed on the
// host, copied once per step, always to the same addresses, so that the launches of equal steps are equal.
#pragma once

#include <vector>

#include "base/result.h"
#include "cuda/kernels/step.h"
#include "device/device.h"
#include "driver/handles.h"

namespace hearth::cuda {

class StepTablesBuffer {
 public:
  // Inverse frequencies of rotary positions: room for this many values of all models together.
  static constexpr size_t kFrequencies = 64 << 10;

  // Bytes of device memory for steps up to this shape.
  static size_t bytes(const device::StepShape& most);

  // `at`: bytes(most) of device memory. Rows, sequences and pages of later steps must fit.
  Status lay_out(const driver::Cuda& cuda, CUdeviceptr at, const device::StepShape& most);

  // Copies the batch's tables on the stream. Work queued earlier on it has ended, or does not read them.
  Status upload(const device::Batch& batch, const driver::Stream& stream);
  const StepTables& tables() const { return tables_; }

  // Device address of these inverse frequencies, copied there if they are new. Between begin and finish they stay.
  Result<const float*> frequencies(std::span<const float> values, const driver::Stream& stream);
  // Forgets tables when little room is left; only between steps.
  void make_room();

 private:
  struct Layout;
  struct Kept {
    std::vector<float> values;
    size_t at;  // in values from frequencies_at_ on
  };

  const driver::Cuda* cuda_ = nullptr;
  CUdeviceptr at_ = 0;
  driver::PinnedMemory host_;
  device::StepShape most_;
  StepTables tables_{};
  std::vector<Kept> kept_;
  size_t kept_values_ = 0;
};

}  // namespace hearth::cuda
