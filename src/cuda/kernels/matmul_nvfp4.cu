// hearth-targets: 75 80
#include "cuda/kernels/formats/nvfp4.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(NVFP4)
