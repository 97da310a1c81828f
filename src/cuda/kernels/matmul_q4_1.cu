// hearth-targets: 75 80
#include "cuda/kernels/formats/q4_1.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(Q4_1)
