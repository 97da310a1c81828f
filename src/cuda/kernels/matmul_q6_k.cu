// hearth-targets: 75 80
#include "cuda/kernels/formats/q6_k.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(Q6_K)
