// The inner product of mma, compiled once per instruction set.
#include "sim/exec/lane_ops_map.h"

namespace hearth::sim::exec::HEARTH_LANE_ISA {

void multiply(const float* a, const float* b, float* d, int m, int n, int k);

// d[m][n] += a[m][k] * b[k][n], n = 8; the sum in ascending k, each step a fused multiply-add.
void multiply(const float* a, const float* b, float* d, int m, int n, int k) {
  for (int row = 0; row < m; ++row) {
    float sum[8];
    std::memcpy(sum, d + row * n, sizeof(sum));
    for (int step = 0; step < k; ++step) {
      const float factor = a[row * k + step];
      HEARTH_LANES_INDEPENDENT
      for (int column = 0; column < 8; ++column) {
        sum[column] = __builtin_fmaf(factor, b[step * 8 + column], sum[column]);
      }
    }
    std::memcpy(d + row * n, sum, sizeof(sum));
  }
}

}  // namespace hearth::sim::exec::HEARTH_LANE_ISA
