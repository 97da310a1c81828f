// hearth-targets: 75 80
#include "cuda/kernels/formats/q5_0.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(Q5_0)
