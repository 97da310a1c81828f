#include "cpu/kernels/make_table.h"
#include "cpu/simd/avx512.h"

namespace hearth::cpu {

const KernelTable& avx512_kernels() {
  static const KernelTable table = make_table<Avx512>();
  return table;
}

}  // namespace hearth::cpu
