// Queries and keys are normalised and rotated, keys and values appended to the cache. One warp per row and
// head (heads queries, kv_heads keys, kv_heads values), the head's values in shared memory.
#include "cuda/kernels/angle.cuh"
#include "cuda/kernels/args.h"
#include "cuda/kernels/broken.cuh"
#include "cuda/kernels/numbers.cuh"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

__device__ void load_head(const float* from, uint32_t dims, float* head) {
  for (uint32_t d = lane_of_warp(); d < dims; d += 32) head[d] = from[d];
  __syncwarp();
}

// Lane i works on the dimensions i, i + 32, ...: they need no exchange.
__device__ void normalise(float* head, const float* weight, uint32_t dims, float epsilon) {
  float sum = 0;
  for (uint32_t d = lane_of_warp(); d < dims; d += 32) sum += head[d] * head[d];
  const float scale = 1 / sqrtf(warp_sum(sum) / static_cast<float>(dims) + epsilon);
  for (uint32_t d = lane_of_warp(); d < dims; d += 32) head[d] *= weight != nullptr ? scale * weight[d] : scale;
  __syncwarp();
}

__device__ float growth_at(const RotateKernelArgs& args, uint32_t position) {
  if (args.growth == 0) return 1;
  return 1 + args.growth * logf(1.0f + static_cast<float>((position + args.growth_offset) / args.growth_period));
}

__device__ void rotate(float* head, const RotateKernelArgs& args, uint32_t row) {
  const uint32_t half = args.rope_dims / 2, part = half / args.rope_parts;
  const uint32_t* place = args.step.places + row * kPlaceNumbers;
  for (uint32_t i = lane_of_warp(); i < half; i += 32) {
    const uint32_t in_part = i / part * part + i;
    float& a = head[args.rope_first + (args.adjacent != 0 ? 2 * i : in_part)];
    float& b = head[args.rope_first + (args.adjacent != 0 ? 2 * i + 1 : in_part + part)];
    float sine, cosine;
    const uint32_t axis = args.with_axes != 0 ? static_cast<uint32_t>(args.inverse_frequency[half + i]) : 0;
    sine_cosine(static_cast<float>(place[axis]), args.inverse_frequency[i], sine, cosine);
    sine *= args.magnitude;
    cosine *= args.magnitude;
    const float x = a, y = b;
    a = x * cosine - y * sine;
    b = x * sine + y * cosine;
  }
  __syncwarp();
}

// Rounds the scale first, so that the bytes fit what will be read.
__device__ void store_blocks(const float* head, uint32_t dims, int8_t* row, Half* scales) {
  for (uint32_t first = 0; first < dims; first += kScaleGroup) {
    const float x = head[first + lane_of_warp()];
    const Half bits = float_to_half(warp_largest(x) / 127);
    const float scale = half_to_float(bits), inverse = scale > 0 ? 1 / scale : 0;
    const float q = fminf(fmaxf(rintf(x * inverse), -127), 127);
    row[first + lane_of_warp()] = static_cast<int8_t>(q);
    if (lane_of_warp() == 0) scales[first / kScaleGroup] = bits;
  }
}

// `part`: the keys or the values of one head in a page.
__device__ void store_row(PageType type, const float* head, uint32_t dims, uint8_t* part, uint32_t slot) {
  const uint32_t row_bytes = page_row_bytes(type, dims);
  uint8_t* row = part + slot * row_bytes;
  if (type == PageType::kQ8_0) {
    Half* scales = reinterpret_cast<Half*>(part + kPagePositions * row_bytes) + slot * (dims / kScaleGroup);
    store_blocks(head, dims, reinterpret_cast<int8_t*>(row), scales);
    return;
  }
  const uint32_t padded = row_bytes / element_bytes(type);
  for (uint32_t d = lane_of_warp(); d < padded; d += 32) {
    const float x = d < dims ? head[d] : 0;
    if (type == PageType::kF32)
      reinterpret_cast<float*>(row)[d] = x;
    else
      reinterpret_cast<Half*>(row)[d] = float_to_half(x);
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kRotateWarps * 32) rotate_append(const RotateKernelArgs args) {
  extern __shared__ float heads[];
  const uint32_t row = blockIdx.x, index = blockIdx.y * kRotateWarps + threadIdx.x / 32;
  if (index >= args.heads + (args.k != nullptr ? args.kv_heads : 0) + (args.v != nullptr ? args.kv_heads : 0)) return;
  const uint32_t longest = args.key_dim > args.value_dim ? args.key_dim : args.value_dim;
  float* head = heads + threadIdx.x / 32 * longest;
  const uint32_t position = args.step.positions[row];
  const bool is_query = index < args.heads, is_key = !is_query && index < args.heads + args.kv_heads;

  if (is_query || is_key) {
    float* q = args.q + size_t{row} * args.q_stride + index * args.key_dim;
    const float* from = is_query ? q : args.k + size_t{row} * args.k_stride + (index - args.heads) * args.key_dim;
    const float* norm = is_query ? args.q_norm : args.k_norm;
    const bool normalised = norm != nullptr || args.plain_norms != 0;
    if (is_query && !normalised && args.inverse_frequency == nullptr && args.growth == 0) return;
    load_head(from, args.key_dim, head);
    if (normalised && args.norm_last == 0) normalise(head, norm, args.key_dim, args.epsilon);
    if (args.inverse_frequency != nullptr) rotate(head, args, row);
    if (normalised && args.norm_last != 0) normalise(head, norm, args.key_dim, args.epsilon);
    if (is_query) {
      const float growth = growth_at(args, position);
      for (uint32_t d = lane_of_warp(); d < args.key_dim; d += 32) q[d] = head[d] * growth;
      return;
    }
  }
  const StepSequence sequence = args.step.sequences[args.step.row_sequence[row]];
  const int32_t page = args.step.pages[sequence.first_page + position / kPagePositions];
  uint8_t* data = args.cache + static_cast<size_t>(page) * args.page_bytes;
  const uint32_t slot = position % kPagePositions;
  if (is_key) {
    const uint32_t kv_head = index - args.heads;
    store_row(args.type, head, args.key_dim, data + kv_head * page_head_bytes(args.type, args.key_dim), slot);
    return;
  }
  const uint32_t kv_head = index - args.heads - args.kv_heads;
  load_head(args.v + size_t{row} * args.v_stride + kv_head * args.value_dim, args.value_dim, head);
  data += args.kv_heads * page_head_bytes(args.type, args.key_dim);
  store_row(args.type, head, args.value_dim, data + kv_head * page_head_bytes(args.type, args.value_dim), slot);
}

}  // namespace hearth::cuda
