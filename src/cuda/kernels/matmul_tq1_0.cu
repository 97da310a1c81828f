// hearth-targets: 75 80
#include "cuda/kernels/formats/tq1_0.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(TQ1_0)
