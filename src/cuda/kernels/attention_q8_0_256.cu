// hearth-targets: 75 80
#include "cuda/kernels/attention_tensor.cuh"

HEARTH_ATTENTION(PageType::kQ8_0, q8_0, 256)
