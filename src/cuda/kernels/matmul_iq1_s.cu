// hearth-targets: 75 80
#include "cuda/kernels/formats/iq1_s.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(IQ1_S)
