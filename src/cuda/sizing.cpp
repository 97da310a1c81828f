#include "cuda/sizing.h"

#include "base/checked.h"
#include "base/error.h"
#include "cuda/attend_variant.h"
#include "cuda/kernels/cache_page.h"
#include "cuda/matmul.h"
#include "cuda/scratch.h"
#include "cuda/step_tables.h"

namespace hearth::cuda {

device::OperandForms CudaSizing::operand_forms(const device::Matrix& weight) const {
  return Matmul::form_of(*weight.format);
}

size_t CudaSizing::operand_bytes(device::OperandForms forms, uint32_t width) const {
  return operand_row_bytes(width, forms);
}

size_t CudaSizing::page_bytes(const device::CacheShape& shape) const {
  if (shape.state != 0) return round_up(shape.state * sizeof(float), kUnit_bytes);
  const PageType type = static_cast<PageType>(shape.type);
  const uint32_t values = shape.values_in_keys ? 0 : page_head_bytes(type, shape.value_dim);
  return size_t{shape.kv_heads} * (page_head_bytes(type, shape.key_dim) + values);
}

Status CudaSizing::supports(const device::CacheShape& shape) const {
  if (shape.key_dim > kMostKeyDims || shape.value_dim > kMostValueDims)
    return error(ErrorKind::kUnsupported, "heads of {} (keys) and {} (values) are more than the GPU's {} and {}",
                 shape.key_dim, shape.value_dim, kMostKeyDims, kMostValueDims);
  if (shape.type == device::CacheType::kQ8_0 &&
      (shape.key_dim % kScaleGroup != 0 || shape.value_dim % kScaleGroup != 0))
    return error(
        ErrorKind::kUnsupported,
        "a q8_0 cache needs head sizes that are multiples of {}; this model has {} (keys) and {} (values): use f16",
        kScaleGroup, shape.key_dim, shape.value_dim);
  return {};
}

uint64_t CudaSizing::scratch_bytes(const device::StepShape& most) const {
  if (most.rows == 0) return 0;
  return round_up(StepTablesBuffer::bytes(most), granule_bytes_) + round_up(scratch_need(most), granule_bytes_);
}

}  // namespace hearth::cuda
