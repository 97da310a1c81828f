// The layers that keep a state in place of keys and values; see device::ConvolveArgs and ScanArgs. A state is read
// whole before it is written, by the threads that write it. Rows of a sequence are taken in turn.
#include "cuda/kernels/activation.cuh"
#include "cuda/kernels/args.h"
#include "cuda/kernels/warp.cuh"

namespace hearth::cuda {
namespace {

__device__ float* state_of(const StateArgs& state, const StepTables& step, const StepSequence& sequence,
                           uint32_t position) {
  const uint32_t page = position / kPagePositions / state.pages * state.pages;
  return state.data + size_t{static_cast<uint32_t>(step.pages[sequence.first_page + page])} / state.pages * state.size;
}

// Whether the state behind this row of the sequence is kept.
__device__ bool ends_state(const StateArgs& state, const StepSequence& sequence, uint32_t row) {
  return row + 1 == sequence.rows || (sequence.first_position + row + 1) % (state.pages * kPagePositions) == 0;
}

__device__ float softplus(float x) {
  return x > 20 ? x : log1pf(expf(x));
}

}  // namespace

// A thread has one channel of one sequence.
extern "C" __global__ void __launch_bounds__(kConvolveThreads) convolve(const ConvolveKernelArgs args) {
  const uint32_t channel = blockIdx.x * kConvolveThreads + threadIdx.x;
  if (channel >= args.channels) return;
  const StepSequence sequence = args.step.sequences[blockIdx.y];
  const uint32_t kept = args.taps - 1;
  float inputs[kMostTaps], weight[kMostTaps];  // inputs: the last one is the row's own
#pragma unroll
  for (uint32_t tap = 0; tap < kMostTaps; ++tap) {
    weight[tap] = tap < args.taps ? args.weight[channel * args.taps + tap] : 0;
    inputs[tap] = 0;
  }
  if (sequence.first_position > 0) {
    const float* state = state_of(args.state, args.step, sequence, sequence.first_position - 1) + channel;
#pragma unroll
    for (uint32_t tap = 0; tap < kMostTaps - 1; ++tap)
      if (tap < kept) inputs[tap] = state[tap * args.channels];
  }
  const float bias = args.bias != nullptr ? args.bias[channel] : 0;
  for (uint32_t row = 0; row < sequence.rows; ++row) {
    const size_t place = size_t{sequence.first_row + row} * args.in_stride + channel;
    const float x = args.in_factor != nullptr ? args.in[place] * args.in_factor[place] : args.in[place];
    float sum = bias;
#pragma unroll
    for (uint32_t tap = 0; tap < kMostTaps; ++tap) {
      if (tap == kept) inputs[tap] = x;
      if (tap <= kept) sum = fmaf(weight[tap], inputs[tap], sum);
    }
    if (args.silu != 0) sum = silu(sum);
    if (args.out_factor != nullptr) sum *= args.out_factor[place];
    args.out[size_t{sequence.first_row + row} * args.out_stride + channel] = sum;
#pragma unroll
    for (uint32_t tap = 0; tap + 1 < kMostTaps; ++tap) inputs[tap] = inputs[tap + 1];
    if (!ends_state(args.state, sequence, row)) continue;
    float* state = state_of(args.state, args.step, sequence, sequence.first_position + row) + channel;
#pragma unroll
    for (uint32_t tap = 0; tap < kMostTaps - 1; ++tap)
      if (tap < kept) state[tap * args.channels] = inputs[tap];
  }
}

// A warp has the state of one value of one head: a number for each of the head's keys.
extern "C" __global__ void __launch_bounds__(kScanWarps * 32) scan(const ScanKernelArgs args) {
  const uint32_t value = blockIdx.x * kScanWarps + threadIdx.x / 32, head = blockIdx.y;
  if (value >= args.value_dim) return;
  const StepSequence sequence = args.step_tables.sequences[blockIdx.z];
  const uint32_t per_group = args.heads / args.groups;
  const uint32_t key_head = args.interleaved != 0 ? head % args.groups : head / per_group;
  const uint32_t of_head = head / per_group * args.group_stride + head % per_group;
  const size_t at = args.state_at + (size_t{head} * args.value_dim + value) * args.key_dim;
  float state[kScanKeys];
#pragma unroll
  for (uint32_t i = 0; i < kScanKeys; ++i) state[i] = 0;
  if (sequence.first_position > 0) {
    const float* from = state_of(args.state, args.step_tables, sequence, sequence.first_position - 1) + at;
#pragma unroll
    for (uint32_t i = 0; i < kScanKeys; ++i) {
      const uint32_t key = i * 32 + lane_of_warp();
      if (key < args.key_dim) state[i] = from[key];
    }
  }
  const float bias = args.step_bias[head], rate = args.decay[head];
  for (uint32_t row = 0; row < sequence.rows; ++row) {
    const size_t place = sequence.first_row + row;
    const float* const q = args.q + place * args.stride + size_t{key_head} * args.key_dim;
    const float* const k = args.k + place * args.stride + size_t{key_head} * args.key_dim;
    const float v = args.v[place * args.stride + size_t{head} * args.value_dim + value];
    const float step = softplus(args.step[place * args.step_stride + of_head] + bias), decay = expf(step * rate);
    float keys[kScanKeys], held = 0;
#pragma unroll
    for (uint32_t i = 0; i < kScanKeys; ++i) {
      const uint32_t key = i * 32 + lane_of_warp();
      keys[i] = key < args.key_dim ? k[key] * args.k_scale : 0;
      state[i] *= decay;
      held = fmaf(state[i], keys[i], held);
    }
    float change = v * step;
    if (args.beta != nullptr) {
      const float beta = 1 / (1 + expf(-args.beta[place * args.step_stride + of_head]));
      change = (v - warp_sum(held)) * beta;
    }
    float sum = 0;
#pragma unroll
    for (uint32_t i = 0; i < kScanKeys; ++i) {
      const uint32_t key = i * 32 + lane_of_warp();
      state[i] = fmaf(keys[i], change, state[i]);
      if (key < args.key_dim) sum = fmaf(state[i], q[key], sum);
    }
    float result = warp_sum(sum) * args.q_scale;
    if (lane_of_warp() == 0) {
      if (args.skip != nullptr) result = fmaf(args.skip[head], v, result);
      if (args.gate != nullptr) result *= silu(args.gate[place * args.gate_stride + head * args.value_dim + value]);
      args.out[place * args.out_stride + size_t{head} * args.value_dim + value] = result;
    }
    if (!ends_state(args.state, sequence, row)) continue;
    float* to = state_of(args.state, args.step_tables, sequence, sequence.first_position + row) + at;
#pragma unroll
    for (uint32_t i = 0; i < kScanKeys; ++i) {
      const uint32_t key = i * 32 + lane_of_warp();
      if (key < args.key_dim) to[key] = state[i];
    }
  }
}

}  // namespace hearth::cuda
