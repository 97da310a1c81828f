// hearth-targets: 75 80
#include "cuda/kernels/formats/q2_k.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(Q2_K)
