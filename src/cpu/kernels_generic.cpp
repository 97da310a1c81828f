#include "cpu/kernels/make_table.h"
#include "cpu/simd/generic.h"

namespace hearth::cpu {

const KernelTable& generic_kernels() {
  static const KernelTable table = make_table<Generic>();
  return table;
}

}  // namespace hearth::cpu
