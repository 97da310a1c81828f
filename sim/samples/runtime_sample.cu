// The same through NVIDIA's runtime library (libcudart_static): an experiment, see docs/simulator.md.
#include <cstdio>

__global__ void twice(float* values, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) values[i] *= 2;
}

int main() {
  float* values = nullptr;
  cudaError_t result = cudaMalloc(&values, 400);
  std::printf("cudaMalloc: %s\n", cudaGetErrorString(result));
  if (result != cudaSuccess) return 1;
  cudaMemset(values, 0, 400);
  twice<<<1, 128>>>(values, 100);
  std::printf("kernel: %s\n", cudaGetErrorString(cudaDeviceSynchronize()));
  return cudaFree(values) == cudaSuccess ? 0 : 1;
}
