#include "models/transformer.h"

#include <algorithm>

#include "base/checked.h"
#include "models/experts.h"
#include "models/latent.h"
#include "models/layer_inputs.h"
#include "models/recurrent.h"
#include "models/step_parts.h"
#include "models/streams.h"

namespace hearth::models {

namespace {

using device::Matrix;
using device::Operand;
using device::OperandForms;
using device::Projection;

constexpr uint64_t kAlignment = device::kWeight_alignment;

uint32_t q_width(const Spec& spec) {
  return spec.heads * spec.key_dim;
}
// Of the layer where it is most.
uint32_t qkv_width(const Spec& spec) {
  uint32_t most = 0;
  for (uint32_t i = 0; i < spec.layers; ++i) {
    const HeadSizes sizes = heads_of(spec, i);
    most = std::max(most, spec.heads * sizes.key_dim + sizes.kv_heads * (sizes.key_dim + sizes.value_dim));
  }
  return most;
}
// The dense part and the experts, each with norms of its own, and the router: the sum of both, one result, what the
// router gives.
uint32_t both_width(const Spec& spec) {
  return spec.dense_beside_experts ? 2 * spec.width + spec.experts : 0;
}
// What a gate on the results of heads takes besides: queries and gates as they come, later the results, and the gates.
uint32_t gate_width(const Spec& spec) {
  const uint32_t results = spec.heads * spec.value_dim;
  return spec.attention_gate ? std::max(2 * q_width(spec), results) + results : 0;
}
uint32_t inner_width(const Spec& spec) {
  return spec.gated ? 2 * spec.feed_forward : spec.feed_forward;
}
// What a layer's ops keep there at once.
uint32_t scratch_width(const Spec& spec) {
  const uint32_t together = spec.side_by_side ? qkv_width(spec) + inner_width(spec) : 0;
  const uint32_t shared = 2 * spec.shared_feed_forward + 1;
  const uint32_t narrow = spec.expert_width != 0 ? spec.experts + 2 * spec.expert_width + shared : 0;
  const uint32_t attention = spec.latent.rank != 0 ? latent_scratch_width(spec) : qkv_width(spec) + gate_width(spec);
  return std::max({attention, recurrent_scratch_width(spec), layer_inputs_scratch_width(spec),
                   streams_scratch_width(spec), narrow, both_width(spec) + inner_width(spec), together, shared,
                   spec.width, spec.embedding_width});
}

OperandForms attention_forms(const device::Sizing& device, const LayerWeights& layer) {
  return forms_for(device, {&layer.qkv.weight, &layer.q.weight, &layer.k.weight, &layer.v.weight});
}

OperandForms feed_forward_forms(const device::Sizing& device, const LayerWeights& layer) {
  return forms_for(
      device, {&layer.gate.weight, &layer.up.weight, &layer.router, &layer.expert_gate, &layer.expert_up,
               &layer.shared_gate.weight, &layer.shared_up.weight, &layer.shared_share, &layer.expert_down_to.weight});
}

// What reads x before attention: the feed-forward too where they stand side by side.
OperandForms layer_forms(const device::Sizing& device, const Spec& spec, const LayerWeights& layer) {
  const OperandForms attention = attention_forms(device, layer);
  return spec.side_by_side ? attention | feed_forward_forms(device, layer) : attention;
}

uint64_t operand_row_bytes(const device::Sizing& device, const Spec& spec, const Weights& weights) {
  const auto bytes = [&](const Linear& linear, uint32_t width) {
    return device.operand_bytes(forms_for(device, {&linear.weight}), width);
  };
  size_t most = std::max({bytes(weights.output, table_width(spec)), bytes(weights.project_in, table_width(spec)),
                          bytes(weights.project_out, spec.width)});
  most = std::max<size_t>(
      {most, layer_inputs_operand_bytes(device, spec, weights), streams_operand_bytes(device, spec, weights)});
  for (const LayerWeights& layer : weights.layers) {
    most = std::max<size_t>(most, recurrent_operand_bytes(device, spec, layer.recurrent));
    if (spec.expert_width != 0)
      most = std::max<size_t>({most, bytes(layer.expert_up_from, spec.expert_width),
                               device.operand_bytes(forms_for(device, {&layer.expert_up}), spec.expert_width)});
    if (spec.latent.rank != 0) most = std::max<size_t>(most, latent_operand_bytes(device, spec, layer.latent));
    most = std::max({most, device.operand_bytes(layer_forms(device, spec, layer), spec.width),
                     bytes(layer.attention_output, layer.attention_output.weight.cols),
                     device.operand_bytes(feed_forward_forms(device, layer), spec.width)});
    most = std::max<size_t>(
        {most, bytes(layer.down, layer.down.weight.cols), bytes(layer.shared_down, spec.shared_feed_forward)});
  }
  return most;
}

uint64_t float_bytes(uint64_t rows, uint64_t width) {
  return round_up(rows * width * sizeof(float), kAlignment);
}

// Where the projections of a layer's input lie in the scratch.
struct Projected {
  float *q, *k, *v, *inner;  // inner: of the feed-forward, where it stands beside the attention
  uint32_t q_stride, k_stride, v_stride, inner_stride;
};

Projected projected(const DeviceStep& step, uint32_t layer) {
  const Spec& spec = step.spec;
  const HeadSizes sizes = heads_of(spec, layer);
  const uint32_t q = spec.heads * sizes.key_dim, k = sizes.kv_heads * sizes.key_dim,
                 v = sizes.kv_heads * sizes.value_dim;
  const uint32_t inner = spec.side_by_side ? inner_width(spec) : 0;
  const bool one_by_one = spec.qk_norm == QkNorm::kWhole;  // norms want adjacent rows
  const size_t rows = one_by_one ? step.batch.rows() : 1;
  const uint32_t all = q + k + v + inner;
  float* at = step.workspace.scratch;
  Projected to{at, at + rows * q, at + rows * (q + k), at + rows * (q + k + v), all, all, all, all};
  if (one_by_one) to.q_stride = q, to.k_stride = k, to.v_stride = v, to.inner_stride = inner;
  return to;
}

void norm_values(const DeviceStep& step, const LayerWeights& layer, const HeadSizes& sizes, const Projected& at) {
  const bool of_keys = !layer.v.weight;
  const device::Pieces pieces{sizes.kv_heads, of_keys ? at.k_stride : at.v_stride, sizes.value_dim, at.v_stride,
                              sizes.value_dim};
  step.device.norm({.epsilon = step.spec.norm_epsilon,
                    .weight = {nullptr, sizes.value_dim},
                    .bias = {},
                    .in = of_keys ? at.k : at.v,
                    .operand = {},
                    .out = at.v,
                    .pieces = &pieces});
}

// Where queries with their gates come, and later the results; where the gates are.
struct Gated {
  float *both, *gates;
};
Gated gated(const DeviceStep& step) {
  const Spec& spec = step.spec;
  const size_t rows = step.batch.rows();
  float* both = step.workspace.scratch + rows * qkv_width(spec);
  return {both, both + rows * (gate_width(spec) - spec.heads * spec.value_dim)};
}

void project_gated(const DeviceStep& step, const Operand& in, const LayerWeights& layer, const Projected& to) {
  const Spec& spec = step.spec;
  const uint32_t both = 2 * spec.key_dim, width = spec.heads * spec.value_dim;
  const Gated at = gated(step);
  project(step, in,
          {{layer.q.weight, layer.q.bias, at.both, spec.heads * both},
           {layer.k.weight, layer.k.bias, to.k, to.k_stride},
           {layer.v.weight, layer.v.bias, to.v, to.v_stride}});
  const auto take = [&](const float* from, float* out, uint32_t row, uint32_t size) {
    const device::Pieces pieces{spec.heads, spec.heads * both, both, row, size};
    step.device.norm({.kind = device::NormKind::kNone,
                      .weight = {nullptr, size},
                      .bias = {},
                      .in = from,
                      .operand = {},
                      .out = out,
                      .pieces = &pieces});
  };
  take(at.both, to.q, to.q_stride, spec.key_dim);
  take(at.both + spec.key_dim, at.gates, width, spec.value_dim);
}

void project_qkv(const DeviceStep& step, const Operand& in, const LayerWeights& layer, const Projected& to) {
  if (layer.qkv.weight) {
    CHECK(step.spec.qk_norm != QkNorm::kWhole);
    const Projection all{layer.qkv.weight, layer.qkv.bias, to.q, to.q_stride};
    step.device.project(in, step.batch.rows(), {&all, 1});
    return;
  }
  if (step.spec.attention_gate) return project_gated(step, in, layer, to);
  const Projection each[] = {{layer.q.weight, layer.q.bias, to.q, to.q_stride},
                             {layer.k.weight, layer.k.bias, to.k, to.k_stride},
                             {layer.v.weight, layer.v.bias, to.v, to.v_stride}};
  step.device.project(in, step.batch.rows(), std::span(each).first(layer.v.weight ? 3 : layer.k.weight ? 2 : 1));
}

// Gate and up, one beside the other.
void project_inner(const DeviceStep& step, const Operand& in, const LayerWeights& layer, float* to, uint32_t stride) {
  const Spec& spec = step.spec;
  const uint32_t rows = step.batch.rows();
  if (spec.gated && !spec.gate_in_up) {
    const Projection both[] = {{layer.gate.weight, layer.gate.bias, to, stride},
                               {layer.up.weight, layer.up.bias, to + layer.gate.weight.rows, stride}};
    return step.device.project(in, rows, both);
  }
  const Projection one{layer.up.weight, layer.up.bias, to, stride};
  step.device.project(in, rows, {&one, 1});
}

}  // namespace

namespace {

void one_attention(const DeviceStep& step, uint32_t index, const device::CacheLayer& cache) {
  const Spec& spec = step.spec;
  const LayerSpec& own = spec.per_layer[index];
  const bool shares = own.cache != kOwn_cache;
  if (own.mixer == Mixer::kNone) return;
  if (keeps_state(own.mixer)) return recurrent(step, index, cache);
  if (spec.latent.rank != 0) return latent_attention(step, index, cache);
  const LayerWeights& layer = step.weights.layers[index];
  const Projected at = projected(step, index);
  const Operand in = normed(step, layer.attention_norm, layer_forms(step.device, spec, layer));
  project_qkv(step, in, layer, at);
  if (spec.side_by_side) {
    const bool same = !layer.feed_forward_norm.weight;
    project_inner(step, same ? in : normed(step, layer.feed_forward_norm, in.forms), layer, at.inner, at.inner_stride);
  }
  if (spec.norm_values && !shares) norm_values(step, layer, heads_of(spec, index), at);
  const bool whole = spec.qk_norm == QkNorm::kWhole, rotates = !spec.ropes.empty() && own.rope != kNo_rope;
  const bool plain = spec.qk_norm == QkNorm::kPlainAfterRotation;
  if (whole) norm_in_place(step, layer.q_norm, at.q), norm_in_place(step, layer.k_norm, at.k);
  step.device.rotate_append({.q = at.q,
                             .k = shares ? nullptr : at.k,
                             .v = shares ? nullptr : at.v,
                             .q_stride = at.q_stride,
                             .k_stride = at.k_stride,
                             .v_stride = at.v_stride,
                             .heads = spec.heads,
                             .rope = rotates ? &spec.ropes[own.rope] : nullptr,
                             .q_norm = whole ? device::Vector{} : layer.q_norm,
                             .k_norm = whole ? device::Vector{} : layer.k_norm,
                             .plain_norms = plain && rotates,
                             .norm_last = plain || spec.qk_norm == QkNorm::kPerHeadAfterRotation,
                             .growth = own.growth,
                             .epsilon = spec.norm_epsilon,
                             .cache = cache});
  const Operand out =
      operand(step, attention_output_width(spec, index), forms_for(step.device, {&layer.attention_output.weight}));
  step.device.attention({.q = at.q,
                         .q_stride = at.q_stride,
                         .heads = spec.heads,
                         .cache = cache,
                         .scale = spec.attention_scale,
                         .window = own.window,
                         .chunked = own.chunked,
                         .ahead = own.window != 0 || !spec.ahead_in_windows_only,
                         .soft_cap = spec.attention_soft_cap,
                         .sinks = layer.sinks,
                         .out = out,
                         .values = spec.attention_gate ? gated(step).both : nullptr});
  if (spec.attention_gate)
    step.device.activate({.kind = device::Activation::kSigmoid,
                          .gate = gated(step).gates,
                          .up = gated(step).both,
                          .stride = out.width,
                          .out = out});
  add_result(step, out, layer.attention_output, layer.post_attention_norm);
}

// The second half of the feed-forward, from gate and up on.
void finish_dense(const DeviceStep& step, const LayerWeights& layer, const float* inner, uint32_t stride) {
  const Spec& spec = step.spec;
  const uint32_t width = layer.down.weight.cols;
  const Operand out = operand(step, width, forms_for(step.device, {&layer.down.weight}));
  step.device.activate({.kind = spec.activation,
                        .gate = inner,
                        .up = spec.gated ? inner + width : nullptr,
                        .stride = stride,
                        .out = out});
  add_result(step, out, layer.down, layer.post_feed_forward_norm);
}

// Gates count as far as they are above the row's mean by some standard deviations.
void keep_highest(const DeviceStep& step, float* gates, uint32_t size, uint32_t stride, float deviations) {
  const device::Pieces rows{1, stride, 0, stride, 0};
  step.device.norm({.kind = device::NormKind::kAboveMean,
                    .weight = {nullptr, size},
                    .bias = {},
                    .deviations = deviations,
                    .in = gates,
                    .operand = {},
                    .out = gates,
                    .pieces = &rows});
}

void one_feed_forward(const DeviceStep& step, uint32_t index) {
  const LayerWeights& layer = step.weights.layers[index];
  if (!step.spec.per_layer[index].feed_forward) return;
  if (layer.router && step.spec.dense_beside_experts) return dense_and_experts(step, layer);
  if (step.spec.side_by_side) {
    const Projected at = projected(step, index);
    return finish_dense(step, layer, at.inner, at.inner_stride);
  }
  const Operand in = normed(step, layer.feed_forward_norm, feed_forward_forms(step.device, layer));
  if (layer.router) return experts(step, layer, in);
  float* inner = step.workspace.scratch;
  const uint32_t stride = inner_width(step.spec);
  project_inner(step, in, layer, inner, stride);
  if (const float deviations = step.spec.per_layer[index].gate_deviations; deviations != 0)
    keep_highest(step, inner, layer.gate.weight.rows, stride, deviations);
  finish_dense(step, layer, inner, stride);
}

// x times a number of the layer's.
void scale_output(const DeviceStep& step, const device::Vector& scale) {
  float* const x = step.workspace.x;
  step.device.norm({.kind = device::NormKind::kNone, .weight = scale, .bias = {}, .in = x, .operand = {}, .out = x});
}

}  // namespace

void attention(const DeviceStep& step, uint32_t index, const device::CacheLayer& cache) {
  if (step.spec.streams.count == 1) return one_attention(step, index, cache);
  predict_streams(step, index);
  const Workspace workspace = inner_workspace(step);
  one_attention({step.device, step.spec, step.weights, workspace, step.batch}, index, cache);
  add_side_product(step, index);
}

void feed_forward(const DeviceStep& step, uint32_t index) {
  if (step.spec.streams.count > 1) {
    const Workspace workspace = inner_workspace(step);
    one_feed_forward({step.device, step.spec, step.weights, workspace, step.batch}, index);
    return correct_streams(step, index);
  }
  one_feed_forward(step, index);
  add_layer_input(step, index);
  if (const LayerWeights& layer = step.weights.layers[index]; layer.output_scale)
    scale_output(step, layer.output_scale);
}

uint64_t workspace_bytes(const device::Sizing& sizing, const Spec& spec, const Weights& weights, uint32_t rows,
                         uint32_t logit_rows) {
  const uint64_t operand = std::max(rows, logit_rows) * operand_row_bytes(sizing, spec, weights);
  return float_bytes(rows, residual_width(spec)) + float_bytes(rows, scratch_width(spec)) +
         round_up(operand, kAlignment);
}

Workspace lay_out(std::byte* buffer, const Spec& spec, uint32_t rows) {
  std::byte* scratch = buffer + float_bytes(rows, residual_width(spec));
  return {reinterpret_cast<float*>(buffer), reinterpret_cast<float*>(scratch),
          scratch + float_bytes(rows, scratch_width(spec))};
}

}  // namespace hearth::models
