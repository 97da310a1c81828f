// Kernels for cuda_kernels_test.cpp, compiled by nvcc when the test runs.
#include <cuda_fp16.h>

extern "C" __global__ void sum_by_shuffles(const float* in, int count, float* out) {
  __shared__ float warps[32];
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) sum += in[i];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  sum = threadIdx.x < blockDim.x / 32 ? warps[threadIdx.x] : 0;
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (threadIdx.x == 0) atomicAdd(out, sum);
}

// c = a * b, all n by n, in tiles of 16; n need not be a multiple.
extern "C" __global__ void multiply(const float* a, const float* b, float* c, int n) {
  __shared__ float tile_a[16][17], tile_b[16][17];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
  float sum = 0;
  for (int k = 0; k < n; k += 16) {
    tile_a[y][x] = row < n && k + x < n ? a[row * n + k + x] : 0;
    tile_b[y][x] = column < n && k + y < n ? b[(k + y) * n + column] : 0;
    __syncthreads();
    for (int i = 0; i < 16; ++i) sum = fmaf(tile_a[y][i], tile_b[i][x], sum);
    __syncthreads();
  }
  if (row < n && column < n) c[row * n + column] = sum;
}

// Steps of the Collatz sequence, with every way of leaving a loop; keeps the values in a local array.
__device__ __noinline__ int next_value(int x) { return x % 2 == 0 ? x / 2 : 3 * x + 1; }
extern "C" __global__ void collatz(const int* in, int count, int* steps, int* peak) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  int seen[64];
  int x = in[i], n = 0;
  while (true) {
    if (x <= 0) {
      steps[i] = -1;
      peak[i] = 0;
      return;
    }
    seen[n++] = x;
    if (x == 1) break;
    if (n == 64) break;
    x = next_value(x);
  }
  int most = 0;
  for (int j = 0; j < n; ++j) most = max(most, seen[(j * 7) % n]);
  steps[i] = n - 1;
  peak[i] = n % 7 == 0 || n < 64 ? most : most;
}

extern "C" __global__ void by_case(const int* in, int* out) {
  const int x = in[threadIdx.x];
  int y;
  switch (x) {
    case 0: y = x + 17; break;
    case 1: y = x * 31; break;
    case 2: y = ~x; break;
    case 3: y = x << 7; break;
    case 4: y = __popc(x + 1000); break;
    case 5: y = x * x * x; break;
    case 6: y = -x; break;
    default: y = 1 << 20;
  }
  out[threadIdx.x] = y;
}

// One warp: c (16x8, f32) = a (16x16, f16, row major) * b (8x16: the columns of b one behind the other).
extern "C" __global__ void tensor_cores(const __half* a, const __half* b, float* c) {
  __shared__ __align__(16) __half sa[16 * 16], sb[8 * 16];
  const int lane = threadIdx.x;
  for (int i = lane; i < 16 * 16; i += 32) sa[i] = a[i];
  for (int i = lane; i < 8 * 16; i += 32) sb[i] = b[i];
  __syncthreads();
  unsigned fa[4], fb[2];
  const unsigned at_a = static_cast<unsigned>(__cvta_generic_to_shared(sa + (lane % 16) * 16 + lane / 16 * 8));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3]) : "r"(at_a));
  const unsigned at_b = static_cast<unsigned>(__cvta_generic_to_shared(sb + (lane % 8) * 16 + lane / 8 % 2 * 8));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(fb[0]), "=r"(fb[1]) : "r"(at_b));
  float d[4] = {};
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
  const int row = lane / 4, column = lane % 4 * 2;
  c[row * 8 + column] = d[0];
  c[row * 8 + column + 1] = d[1];
  c[(row + 8) * 8 + column] = d[2];
  c[(row + 8) * 8 + column + 1] = d[3];
}

// A dot product of 8-bit integers per warp, as quantised models have it; also what tools measure the simulator with.
extern "C" __global__ void dot_products(const int4* weights, const int4* input, int vectors, float* out) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  int sum = 0;
  for (int i = lane; i < vectors; i += 32) {
    const int4 w = weights[row * vectors + i], x = input[i];
    sum = __dp4a(w.x, x.x, sum);
    sum = __dp4a(w.y, x.y, sum);
    sum = __dp4a(w.z, x.z, sum);
    sum = __dp4a(w.w, x.w, sum);
  }
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (lane == 0) out[row] = static_cast<float>(sum);
}
