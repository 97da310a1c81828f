#include "cpu/kernels/make_table.h"
#include "cpu/simd/avx2.h"

namespace hearth::cpu {

const KernelTable& avx2_kernels() {
  static const KernelTable table = make_table<Avx2>();
  return table;
}

}  // namespace hearth::cpu
