// hearth-targets: 75 80
#include "cuda/kernels/formats/tq2_0.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(TQ2_0)
