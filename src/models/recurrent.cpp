#include "models/recurrent.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/checked.h"
#include "models/step_parts.h"

namespace hearth::models {

namespace {

using device::Operand;
using device::OperandForms;

constexpr uint32_t kMost_pages_of_state = 64, kStates_of_sequence = 4;
constexpr uint64_t kMost_state = 1 << 28;  // numbers of a layer's

bool has_delta_nets(const Spec& spec) {
  return std::any_of(spec.per_layer.begin(), spec.per_layer.end(),
                     [](const LayerSpec& layer) { return layer.mixer == Mixer::kDeltaNet; });
}

// What the first projection of a layer gives, one row after the other.
uint32_t projected_width(const Spec& spec, Mixer mixer) {
  const Recurrent& sizes = spec.recurrent;
  if (mixer == Mixer::kConvolution) return 3 * spec.width;
  if (mixer == Mixer::kStateSpace) return sizes.inner() + sizes.channels + sizes.heads;
  return sizes.channels;
}

OperandForms input_forms(const device::Sizing& sizing, const RecurrentWeights& weights) {
  return forms_for(sizing, {&weights.in.weight, &weights.gate, &weights.beta_alpha, &weights.beta, &weights.alpha});
}

void add_output(const DeviceStep& step, const LayerWeights& layer, const float* from, uint32_t width) {
  const Linear& out = layer.recurrent.out;
  add_result(step, plain(step, from, width, forms_for(step.device, {&out.weight})), out, layer.post_attention_norm);
}

// The projection gives b, c and x: c times the convolution of b x.
void short_convolution(const DeviceStep& step, const LayerWeights& layer, const device::CacheLayer& cache) {
  const Spec& spec = step.spec;
  const RecurrentWeights& weights = layer.recurrent;
  const uint32_t width = spec.width, all = 3 * width;
  float *const b = step.workspace.scratch, *const c = b + width, *const x = c + width;
  float* const out = b + size_t{step.batch.rows()} * all;
  project(step, normed(step, layer.attention_norm, input_forms(step.device, weights)),
          {{weights.in.weight, weights.in.bias, b, all}});
  step.device.convolve({.in = x,
                        .in_factor = b,
                        .out_factor = c,
                        .in_stride = all,
                        .channels = width,
                        .taps = spec.recurrent.taps,
                        .weight = weights.convolution,
                        .bias = weights.convolution_bias,
                        .out = out,
                        .out_stride = width,
                        .state = cache});
  add_output(step, layer, out, width);
}

void convolve(const DeviceStep& step, const RecurrentWeights& weights, const device::CacheLayer& cache, const float* in,
              uint32_t stride, float* out) {
  const Recurrent& sizes = step.spec.recurrent;
  step.device.convolve({.in = in,
                        .in_stride = stride,
                        .channels = sizes.channels,
                        .taps = sizes.taps,
                        .weight = weights.convolution,
                        .bias = weights.convolution_bias,
                        .silu = true,
                        .out = out,
                        .out_stride = sizes.channels,
                        .state = cache});
}

device::ScanArgs scan_args(const Recurrent& sizes, const RecurrentWeights& weights, const device::CacheLayer& cache,
                           float* out) {
  device::ScanArgs args;
  args.stride = sizes.channels;
  args.heads = sizes.heads;
  args.groups = sizes.groups;
  args.key_dim = sizes.key_dim;
  args.value_dim = sizes.value_dim;
  args.interleaved = sizes.interleaved;
  args.group_stride = sizes.heads / sizes.groups;
  args.step_bias = weights.step_bias;
  args.decay = weights.decay;
  args.skip = weights.skip;
  args.out = out;
  args.out_stride = sizes.inner();
  args.state = cache;
  args.state_at = sizes.kept();
  return args;
}

// RMS norms of adjacent parts of rows, where they are.
void norm_parts(const DeviceStep& step, const device::Vector& weight, float epsilon, uint32_t size, uint32_t count,
                uint32_t row, bool own_weights, float* values) {
  const device::Pieces pieces{count, row, size, row, size, own_weights};
  step.device.norm({.epsilon = epsilon,
                    .weight = {weight.data, size},
                    .bias = {},
                    .in = values,
                    .operand = {},
                    .out = values,
                    .pieces = &pieces});
}

// The projection gives a gate, what is convolved (values, keys, queries), and the steps of the heads.
void state_space(const DeviceStep& step, const LayerWeights& layer, const device::CacheLayer& cache) {
  const Recurrent& sizes = step.spec.recurrent;
  const RecurrentWeights& weights = layer.recurrent;
  const size_t rows = step.batch.rows();
  const uint32_t all = projected_width(step.spec, Mixer::kStateSpace), inner = sizes.inner();
  float *const gate = step.workspace.scratch, *const convolved = gate + rows * all,
               *const out = convolved + rows * sizes.channels;
  project(step, normed(step, layer.attention_norm, input_forms(step.device, weights)),
          {{weights.in.weight, weights.in.bias, gate, all}});
  convolve(step, weights, cache, gate + inner, all, convolved);
  device::ScanArgs args = scan_args(sizes, weights, cache, out);
  args.v = convolved;
  args.k = convolved + inner;
  args.q = args.k + sizes.keys();
  args.step = gate + inner + sizes.channels;
  args.step_stride = all;
  args.gate = gate;
  args.gate_stride = all;
  step.device.scan(args);
  norm_parts(step, weights.norm, sizes.epsilon, inner / sizes.groups, sizes.groups, inner, true, out);
  add_output(step, layer, out, inner);
}

// Queries and keys are brought to length 1: that is their RMS norm over the root of their size.
void delta_net(const DeviceStep& step, const LayerWeights& layer, const device::CacheLayer& cache) {
  const Recurrent& sizes = step.spec.recurrent;
  const RecurrentWeights& weights = layer.recurrent;
  const size_t rows = step.batch.rows();
  const uint32_t inner = sizes.inner(), per_group = sizes.heads / sizes.groups, size = sizes.key_dim;
  float *const in = step.workspace.scratch, *const convolved = in + rows * sizes.channels,
               *const gate = convolved + rows * sizes.channels, *const out = gate + rows * inner,
               *const scalars = out + rows * inner;
  const Operand x = normed(step, layer.attention_norm, input_forms(step.device, weights));
  project(step, x, {{weights.in.weight, weights.in.bias, in, sizes.channels}, {weights.gate, {}, gate, inner}});
  device::ScanArgs args = scan_args(sizes, weights, cache, out);
  args.step_stride = 2 * sizes.heads;
  args.beta = scalars;
  if (weights.beta_alpha) {  // by groups: betas, then alphas
    project(step, x, {{weights.beta_alpha, {}, scalars, 2 * sizes.heads}});
    args.step = scalars + per_group;
    args.group_stride = 2 * per_group;
  } else {
    project(
        step, x,
        {{weights.beta, {}, scalars, 2 * sizes.heads}, {weights.alpha, {}, scalars + sizes.heads, 2 * sizes.heads}});
    args.step = scalars + sizes.heads;
  }
  convolve(step, weights, cache, in, sizes.channels, convolved);
  const float keys = static_cast<float>(size);
  norm_parts(step, {}, sizes.epsilon / keys, size, 2 * sizes.groups, sizes.channels, false, convolved);
  args.q = convolved;
  args.k = convolved + sizes.keys();
  args.v = args.k + sizes.keys();
  args.k_scale = 1 / std::sqrt(keys);
  args.q_scale = 1 / keys;
  step.device.scan(args);
  norm_parts(step, weights.norm, sizes.epsilon, sizes.value_dim, sizes.heads, inner, false, out);
  const Linear& output = weights.out;
  const Operand gated = operand(step, inner, forms_for(step.device, {&output.weight}));
  step.device.activate({.kind = device::Activation::kSilu, .gate = gate, .up = out, .stride = inner, .out = gated});
  add_result(step, gated, output, layer.post_attention_norm);
}

Status read_delta_net(TensorReader& reader, const Spec& spec, const std::string& block, RecurrentWeights* weights) {
  const Recurrent& sizes = spec.recurrent;
  ASSIGN_OR_RETURN(weights->in, reader.linear(block + "attn_qkv", sizes.channels, spec.width));
  ASSIGN_OR_RETURN(weights->gate, reader.matrix(block + "attn_gate.weight", sizes.inner(), spec.width));
  if (reader.has(block + "ssm_ba.weight")) {
    ASSIGN_OR_RETURN(weights->beta_alpha, reader.matrix(block + "ssm_ba.weight", 2 * sizes.heads, spec.width));
  } else {
    ASSIGN_OR_RETURN(weights->beta, reader.matrix(block + "ssm_beta.weight", sizes.heads, spec.width));
    ASSIGN_OR_RETURN(weights->alpha, reader.matrix(block + "ssm_alpha.weight", sizes.heads, spec.width));
  }
  ASSIGN_OR_RETURN(weights->decay, reader.vector(block + "ssm_a", sizes.heads));
  ASSIGN_OR_RETURN(weights->norm, reader.vector(block + "ssm_norm.weight", sizes.value_dim));
  return {};
}

Status read_state_space(TensorReader& reader, const Spec& spec, const std::string& block, RecurrentWeights* weights) {
  const Recurrent& sizes = spec.recurrent;
  ASSIGN_OR_RETURN(weights->in, reader.linear(block + "ssm_in", projected_width(spec, Mixer::kStateSpace), spec.width));
  ASSIGN_OR_RETURN(weights->decay, reader.numbers(block + "ssm_a", 1, sizes.heads));
  ASSIGN_OR_RETURN(weights->skip, reader.numbers(block + "ssm_d", 1, sizes.heads));
  ASSIGN_OR_RETURN(weights->norm,
                   reader.numbers(block + "ssm_norm.weight", sizes.inner() / sizes.groups, sizes.groups));
  return {};
}

}  // namespace

Status read_scan_sizes(const Metadata& keys, Spec* spec) {
  for (const char* key : {"attention.head_count", "attention.head_count_kv", "feed_forward_length"})
    TRY(keys.refuse_different(key));
  Recurrent& sizes = spec->recurrent;
  sizes.epsilon = spec->norm_epsilon;
  ASSIGN_OR_RETURN(sizes.taps, keys.count("ssm.conv_kernel", 1, device::kMost_taps));
  ASSIGN_OR_RETURN(sizes.key_dim, keys.count("ssm.state_size", 1, device::kMost_scan_keys));
  ASSIGN_OR_RETURN(sizes.heads, keys.count("ssm.time_step_rank", 1, kMost_heads));
  ASSIGN_OR_RETURN(sizes.groups, keys.count("ssm.group_count", 1, kMost_heads));
  ASSIGN_OR_RETURN(const uint32_t inner, keys.count("ssm.inner_size", 1, kMost_width));
  if (sizes.heads % sizes.groups != 0 || inner % sizes.heads != 0)
    return keys.invalid("ssm.time_step_rank", fmt::format("is {}, which does not fit {} groups and an inner size of {}",
                                                          sizes.heads, sizes.groups, inner));
  if (uint64_t{inner} * sizes.key_dim > kMost_state)
    return keys.invalid("ssm.inner_size", fmt::format("is {}: too large for states of {}", inner, sizes.key_dim));
  sizes.value_dim = inner / sizes.heads;
  sizes.channels = inner + 2 * sizes.keys();
  return {};
}

uint32_t pages_of_state(const Spec& spec, uint64_t page_bytes, uint32_t context) {
  uint64_t states = 0, keys = 0;
  for (const LayerSpec& layer : spec.per_layer) {
    if (keeps_state(layer.mixer)) states += spec.recurrent.state() * sizeof(float);
    if (layer.mixer == Mixer::kAttention && layer.cache == kOwn_cache) keys += page_bytes;
  }
  if (states == 0) return 1;
  const uint64_t wanted = keys == 0 ? kMost_pages_of_state : divide_up(states, keys);
  const uint64_t most = std::max<uint64_t>(1, context / device::kPage_tokens / kStates_of_sequence);
  const uint64_t pages = std::min<uint64_t>({std::bit_ceil(wanted), kMost_pages_of_state, std::bit_floor(most)});
  return static_cast<uint32_t>(pages);
}

uint32_t recurrent_scratch_width(const Spec& spec) {
  const Recurrent& sizes = spec.recurrent;
  if (sizes.taps == 0) return 0;
  if (sizes.heads == 0) return 4 * spec.width;
  if (has_delta_nets(spec)) return 2 * (sizes.channels + sizes.inner() + sizes.heads);
  return projected_width(spec, Mixer::kStateSpace) + sizes.channels + sizes.inner();
}

uint64_t recurrent_operand_bytes(const device::Sizing& sizing, const Spec& spec, const RecurrentWeights& weights) {
  if (!weights.in.weight) return 0;
  return std::max(sizing.operand_bytes(input_forms(sizing, weights), spec.width),
                  sizing.operand_bytes(forms_for(sizing, {&weights.out.weight}), weights.out.weight.cols));
}

Status read_recurrent(TensorReader& reader, const Spec& spec, Mixer mixer, const std::string& block,
                      RecurrentWeights* weights) {
  const Recurrent& sizes = spec.recurrent;
  if (mixer == Mixer::kConvolution) {
    ASSIGN_OR_RETURN(weights->in, reader.linear(block + "shortconv.in_proj", 3 * spec.width, spec.width));
    ASSIGN_OR_RETURN(weights->convolution, reader.numbers(block + "shortconv.conv.weight", sizes.taps, spec.width));
    ASSIGN_OR_RETURN(weights->out, reader.linear(block + "shortconv.out_proj", spec.width, spec.width));
    return {};
  }
  if (mixer == Mixer::kDeltaNet) TRY(read_delta_net(reader, spec, block, weights));
  if (mixer == Mixer::kStateSpace) TRY(read_state_space(reader, spec, block, weights));
  ASSIGN_OR_RETURN(weights->convolution, reader.numbers(block + "ssm_conv1d.weight", sizes.taps, sizes.channels));
  ASSIGN_OR_RETURN(weights->convolution_bias, reader.optional_vector(block + "ssm_conv1d.bias", sizes.channels));
  const std::string bias =
      block + (reader.has(block + "ssm_dt.bias") ? "ssm_dt.bias" : "ssm_dt");  // Ollama: the second
  ASSIGN_OR_RETURN(weights->step_bias, reader.vector(bias, sizes.heads));
  ASSIGN_OR_RETURN(weights->out, reader.linear(block + "ssm_out", spec.width, sizes.inner()));
  return {};
}

void recurrent(const DeviceStep& step, uint32_t index, const device::CacheLayer& cache) {
  const LayerWeights& layer = step.weights.layers[index];
  switch (step.spec.per_layer[index].mixer) {
    case Mixer::kConvolution:
      return short_convolution(step, layer, cache);
    case Mixer::kStateSpace:
      return state_space(step, layer, cache);
    case Mixer::kDeltaNet:
      return delta_net(step, layer, cache);
    case Mixer::kAttention:
    case Mixer::kNone:
      CHECK(false);
  }
}

}  // namespace hearth::models
