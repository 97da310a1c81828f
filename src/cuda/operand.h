// device::Operand on the GPU: which forms there are and where a row's parts lie (kernels/operand_args.h).
#pragma once

#include "cuda/kernels/operand_args.h"
#include "device/types.h"

namespace hearth::cuda {

inline size_t operand_bytes(device::OperandForms forms, uint32_t width) {
  return operand_row_bytes(width, forms);
}
// For the kernels that write or read it.
inline OperandRows operand_rows(const device::Operand& operand) {
  return {reinterpret_cast<uint8_t*>(operand.data), operand.width, operand.forms};
}

}  // namespace hearth::cuda
