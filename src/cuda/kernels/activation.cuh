// The activations of device::Activation; see there for the rounding that is part of GELU.
#pragma once

#include "cuda/kernels/args.h"
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

__device__ inline float relu(float x) {
  return fmaxf(x, 0) + broken(x);
}

__device__ inline float clamped_swish(float gate, float up) {
  const float x = fminf(gate, 7), y = fminf(fmaxf(up, -7), 7);
  return x / (1 + expf(-1.702f * x)) * (y + 1) + broken(gate) + broken(up);
}

__device__ inline float activated(ActivationWay way, float x) {
  switch (way) {
    case ActivationWay::kSilu:
      return silu(x);
    case ActivationWay::kGeluTanh:
      return gelu_tanh(x);
    case ActivationWay::kRelu:
      return relu(x);
    case ActivationWay::kQuickGelu:
      return x / (1 + expf(-1.702f * x));
    case ActivationWay::kSigmoid:
      return 1 / (1 + expf(-x));
    default:
      return relu(x) * relu(x);
  }
}

}  // namespace hearth::cuda
