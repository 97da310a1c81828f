// The layers that keep a state in place of keys and values: short convolutions, and scans of state-space models and
// delta nets. A sequence's state is worked on where its slot of the cache lies; when the next slot begins it is copied
// there, and the one before stays as it was at that position.
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "cpu/device_impl.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t kConvolved_channels = 512;  // of one item of work

float silu(float x) {
  return x / (1 + std::exp(-x));
}

float softplus(float x) {
  return x > 20 ? x : std::log1p(std::exp(x));
}

// Where a channel's earlier inputs come from: the batch's rows, and before those the state.
struct Inputs {
  const device::ConvolveArgs& args;
  const device::BatchSequence& sequence;
  const float* before;  // [taps - 1][channels of the block], oldest first
  uint32_t first, channels;

  float at(int64_t row, uint32_t channel) const {
    if (row < 0) return before[(row + args.taps - 1) * channels + channel];
    const size_t place = (sequence.first_row + static_cast<size_t>(row)) * args.in_stride + first + channel;
    return args.in_factor != nullptr ? args.in[place] * args.in_factor[place] : args.in[place];
  }
};

void convolve_row(const Inputs& in, uint32_t row) {
  const device::ConvolveArgs& args = in.args;
  const size_t place = in.sequence.first_row + row;
  float* const out = args.out + place * args.out_stride + in.first;
  for (uint32_t c = 0; c < in.channels; ++c) {
    const float* weight = args.weight.data + size_t{in.first + c} * args.taps;
    float sum = args.bias ? args.bias.data[in.first + c] : 0;
    for (uint32_t tap = 0; tap < args.taps; ++tap) sum += weight[tap] * in.at(int64_t{row} + tap - (args.taps - 1), c);
    if (args.silu) sum = silu(sum);
    if (args.out_factor != nullptr) sum *= args.out_factor[place * args.in_stride + in.first + c];
    out[c] = sum;
  }
}

}  // namespace

void CpuDevice::convolve(const device::ConvolveArgs& args) {
  const auto blocks = static_cast<uint32_t>(divide_up(args.channels, kConvolved_channels));
  host_->for_each(static_cast<uint32_t>(batch_->sequences.size()) * blocks, [&](uint32_t i, int) {
    const device::BatchSequence& sequence = batch_->sequences[i / blocks];
    const uint32_t first = i % blocks * kConvolved_channels, kept = args.taps - 1;
    const uint32_t channels = std::min(kConvolved_channels, args.channels - first);
    std::vector<float> before(size_t{kept} * channels);
    if (sequence.first_position > 0) {
      const float* state = device::state_of(args.state, sequence, sequence.first_position - 1) + first;
      for (uint32_t tap = 0; tap < kept; ++tap)
        std::copy_n(state + size_t{tap} * args.channels, channels, before.data() + size_t{tap} * channels);
    }
    const Inputs in{args, sequence, before.data(), first, channels};
    for (uint32_t row = 0; row < sequence.rows; ++row) {
      convolve_row(in, row);
      if (!device::ends_state(args.state, sequence, row)) continue;
      float* state = device::state_of(args.state, sequence, sequence.first_position + row) + first;
      for (uint32_t tap = 0; tap < kept; ++tap)
        for (uint32_t c = 0; c < channels; ++c)
          state[size_t{tap} * args.channels + c] = in.at(int64_t{row} + tap - (kept - 1), c);
    }
  });
}

void CpuDevice::scan(const device::ScanArgs& args) {
  const uint32_t per_group = args.heads / args.groups;
  const size_t head_state = size_t{args.key_dim} * args.value_dim;
  const auto run_head = [&](const device::BatchSequence& sequence, uint32_t head) {
    const uint32_t key_head = args.interleaved ? head % args.groups : head / per_group;
    const uint32_t of_head = head / per_group * args.group_stride + head % per_group;
    const size_t at = args.state_at + head * head_state;
    const float* last = nullptr;  // the state so far
    if (sequence.first_position > 0) last = device::state_of(args.state, sequence, sequence.first_position - 1) + at;
    for (uint32_t i = 0; i < sequence.rows; ++i) {
      const size_t row = sequence.first_row + i;
      float* const state = device::state_of(args.state, sequence, sequence.first_position + i) + at;
      if (last == nullptr)
        std::fill_n(state, head_state, 0.0f);
      else if (last != state)
        std::copy_n(last, head_state, state);
      last = state;
      const float step = softplus(args.step[row * args.step_stride + of_head] + args.step_bias.data[head]);
      const float* const v = args.v + row * args.stride + size_t{head} * args.value_dim;
      float* const out = args.out + row * args.out_stride + size_t{head} * args.value_dim;
      const bool delta = args.beta != nullptr;
      const float beta = delta ? 1 / (1 + std::exp(-args.beta[row * args.step_stride + of_head])) : step;
      kernels_.scan_row({state, args.q + row * args.stride + size_t{key_head} * args.key_dim,
                         args.k + row * args.stride + size_t{key_head} * args.key_dim, v, args.key_dim, args.value_dim,
                         std::exp(step * args.decay.data[head]), beta, args.q_scale, args.k_scale, delta, out});
      for (uint32_t d = 0; d < args.value_dim; ++d) {
        if (args.skip) out[d] += args.skip.data[head] * v[d];
        if (args.gate != nullptr) out[d] *= silu(args.gate[row * args.gate_stride + size_t{head} * args.value_dim + d]);
      }
    }
  };
  host_->for_each(static_cast<uint32_t>(batch_->sequences.size()) * args.heads,
                  [&](uint32_t i, int) { run_head(batch_->sequences[i / args.heads], i % args.heads); });
}

}  // namespace hearth::cpu
