// hearth-targets: 75 80
#include "cuda/kernels/formats/iq3_s.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(IQ3_S)
