// hearth-targets: 75 80
#include "cuda/kernels/formats/f16.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(F16)
