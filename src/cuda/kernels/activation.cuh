// The activations of device::Activation; see there for the rounding that is part of GELU.
#pragma once

#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/numbers.cuh"

namespace hearth::cuda {

__device__ inline float silu(float x) {
  return x / (1 + expf(-x));
}

__device__ inline float gelu_tanh(float exact) {
  if (exact >= 10) return exact;
  const float x = round_to_half(exact < -10 ? -10 : exact);  // the result is 0 from there on
  const float inner = x * 0.79788456080286535588f * (1 + 0.044715f * x * x);
  return round_to_half(0.5f * x * (1 + hyperbolic_tangent(inner))) + broken(exact);
}

}  // namespace hearth::cuda
