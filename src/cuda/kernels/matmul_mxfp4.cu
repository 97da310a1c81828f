// hearth-targets: 75 80
#include "cuda/kernels/formats/mxfp4.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(MXFP4)
