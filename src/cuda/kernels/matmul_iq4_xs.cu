// hearth-targets: 75 80
#include "cuda/kernels/formats/iq4_xs.cuh"
#include "cuda/kernels/matmul_kernels.cuh"

HEARTH_MATMUL(IQ4_XS)
