// hearth-targets: 75 80
#include "cuda/kernels/attention_tensor.cuh"

HEARTH_ATTENTION(PageType::kF16, f16, 64)
