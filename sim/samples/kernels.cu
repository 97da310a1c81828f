// Kernels of the sample: as in any introduction to CUDA.

extern "C" __global__ void vector_add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

// Sums of blocks: a tree in shared memory, the last warp by shuffles; then one atomic addition per block.
extern "C" __global__ void reduce(const float* values, int n, float* sum) {
  __shared__ float partial[256];
  const int lane = threadIdx.x;
  float mine = 0;
  for (int i = blockIdx.x * blockDim.x + lane; i < n; i += gridDim.x * blockDim.x) mine += values[i];
  partial[lane] = mine;
  __syncthreads();
  for (int half = blockDim.x / 2; half >= 32; half /= 2) {
    if (lane < half) partial[lane] += partial[lane + half];
    __syncthreads();
  }
  if (lane < 32) {
    float value = partial[lane];
    for (int step = 16; step > 0; step /= 2) value += __shfl_down_sync(0xffffffff, value, step);
    if (lane == 0) atomicAdd(sum, value);
  }
}

constexpr int kTile = 16;

// c = a * b for square matrices of n rows, tile by tile through shared memory.
extern "C" __global__ void matrix_product(const float* a, const float* b, float* c, int n) {
  __shared__ float tile_a[kTile][kTile];
  __shared__ float tile_b[kTile][kTile];
  const int row = blockIdx.y * kTile + threadIdx.y;
  const int column = blockIdx.x * kTile + threadIdx.x;
  float sum = 0;
  for (int start = 0; start < n; start += kTile) {
    const int k_a = start + threadIdx.x;
    const int k_b = start + threadIdx.y;
    tile_a[threadIdx.y][threadIdx.x] = row < n && k_a < n ? a[row * n + k_a] : 0;
    tile_b[threadIdx.y][threadIdx.x] = k_b < n && column < n ? b[k_b * n + column] : 0;
    __syncthreads();
    for (int k = 0; k < kTile; ++k) sum += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
    __syncthreads();
  }
  if (row < n && column < n) c[row * n + column] = sum;
}
