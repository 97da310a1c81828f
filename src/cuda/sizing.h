// What things take on a CUDA GPU: the same on all of them, so known without one.
#pragma once

#include "device/device.h"

namespace hearth::cuda {

// The driver's unit of memory on every GPU that hearth supports.
inline constexpr uint64_t kGranule_bytes = 2 << 20;

class CudaSizing final : public device::Sizing {
 public:
  explicit CudaSizing(uint64_t granule_bytes = kGranule_bytes) : granule_bytes_(granule_bytes) {}

  bool reads_host_memory() const override { return false; }
  device::OperandForms operand_forms(const device::Matrix& weight) const override;
  size_t operand_bytes(device::OperandForms forms, uint32_t width) const override;
  size_t page_bytes(const device::CacheShape& shape) const override;
  Status supports(const device::CacheShape& shape) const override;
  uint64_t scratch_bytes(const device::StepShape& most) const override;
  uint32_t most_candidates() const override { return device::kMost_candidates; }

 private:
  uint64_t granule_bytes_;
};

}  // namespace hearth::cuda
