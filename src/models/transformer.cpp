#include "models/transformer.h"

#include <algorithm>
#include <initializer_list>

#include "base/checked.h"

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
uint32_t k_width(const Spec& spec) {
  return spec.kv_heads * spec.key_dim;
}
uint32_t v_width(const Spec& spec) {
  return spec.kv_heads * spec.value_dim;
}
uint32_t qkv_width(const Spec& spec) {
  return q_width(spec) + k_width(spec) + v_width(spec);
}
uint32_t attention_width(const Spec& spec) {
  return spec.heads * spec.value_dim;
}
uint32_t inner_width(const Spec& spec) {
  return spec.gated ? 2 * spec.feed_forward : spec.feed_forward;
}
uint32_t scratch_width(const Spec& spec) {
  return std::max({qkv_width(spec), inner_width(spec), spec.width});
}

OperandForms forms_for(const device::Sizing& device, std::initializer_list<const Matrix*> weights) {
  OperandForms forms = 0;
  for (const Matrix* weight : weights)
    if (*weight) forms |= device.operand_forms(*weight);
  return forms;
}

OperandForms attention_forms(const device::Sizing& device, const LayerWeights& layer) {
  return forms_for(device, {&layer.qkv.weight, &layer.q.weight, &layer.k.weight, &layer.v.weight});
}

OperandForms feed_forward_forms(const device::Sizing& device, const LayerWeights& layer) {
  return forms_for(device, {&layer.gate.weight, &layer.up.weight, &layer.router, &layer.expert_gate, &layer.expert_up});
}

uint64_t operand_row_bytes(const device::Sizing& device, const Spec& spec, const Weights& weights) {
  size_t most = device.operand_bytes(forms_for(device, {&weights.output.weight}), spec.width);
  for (const LayerWeights& layer : weights.layers) {
    most = std::max({most, device.operand_bytes(attention_forms(device, layer), spec.width),
                     device.operand_bytes(forms_for(device, {&layer.attention_output.weight}), attention_width(spec)),
                     device.operand_bytes(feed_forward_forms(device, layer), spec.width)});
    if (layer.down.weight)
      most = std::max(most, device.operand_bytes(forms_for(device, {&layer.down.weight}), spec.feed_forward));
  }
  return most;
}

uint64_t float_bytes(uint64_t rows, uint64_t width) {
  return round_up(rows * width * sizeof(float), kAlignment);
}

Operand operand(const DeviceStep& step, uint32_t width, OperandForms forms) {
  return {step.workspace.operand, width, forms};
}

Operand normed(const DeviceStep& step, const Norm& norm, OperandForms forms, bool logit_rows = false) {
  const Operand out = operand(step, step.spec.width, forms);
  step.device.norm({.kind = step.spec.norm,
                    .epsilon = step.spec.norm_epsilon,
                    .weight = norm.weight,
                    .bias = norm.bias,
                    .in = step.workspace.x,
                    .logit_rows = logit_rows,
                    .operand = out});
  return out;
}

// x += projection of `in`, through a norm if there is one.
void add_result(const DeviceStep& step, const Operand& in, const Linear& linear, const Norm& post_norm) {
  const uint32_t width = step.spec.width;
  float* out = post_norm.weight ? step.workspace.scratch : step.workspace.x;
  const Projection projection{linear.weight, linear.bias, out, width, !post_norm.weight};
  step.device.project(in, step.batch.rows(), {&projection, 1});
  if (!post_norm.weight) return;
  step.device.norm({.kind = step.spec.norm,
                    .epsilon = step.spec.norm_epsilon,
                    .weight = post_norm.weight,
                    .bias = post_norm.bias,
                    .in = out,
                    .operand = {},
                    .out = step.workspace.x,
                    .add = true});
}

void project_qkv(const DeviceStep& step, const Operand& in, const LayerWeights& layer) {
  float* q = step.workspace.scratch;
  const uint32_t stride = qkv_width(step.spec);
  if (layer.qkv.weight) {
    const Projection all{layer.qkv.weight, layer.qkv.bias, q, stride};
    step.device.project(in, step.batch.rows(), {&all, 1});
    return;
  }
  float* k = q + q_width(step.spec);
  float* v = k + k_width(step.spec);
  const Projection each[] = {{layer.q.weight, layer.q.bias, q, stride},
                             {layer.k.weight, layer.k.bias, k, stride},
                             {layer.v.weight, layer.v.bias, v, stride}};
  step.device.project(in, step.batch.rows(), each);
}

}  // namespace

void attention(const DeviceStep& step, uint32_t index, const device::CacheLayer& cache) {
  const Spec& spec = step.spec;
  const LayerWeights& layer = step.weights.layers[index];
  const uint32_t stride = qkv_width(spec);
  float* q = step.workspace.scratch;
  project_qkv(step, normed(step, layer.attention_norm, attention_forms(step.device, layer)), layer);
  step.device.rotate_append({.q = q,
                             .k = q + q_width(spec),
                             .v = q + q_width(spec) + k_width(spec),
                             .q_stride = stride,
                             .k_stride = stride,
                             .v_stride = stride,
                             .heads = spec.heads,
                             .rope = spec.ropes.empty() ? nullptr : &spec.ropes[spec.per_layer[index].rope],
                             .q_norm = layer.q_norm,
                             .k_norm = layer.k_norm,
                             .epsilon = spec.norm_epsilon,
                             .cache = cache});
  const Operand out = operand(step, attention_width(spec), forms_for(step.device, {&layer.attention_output.weight}));
  step.device.attention({.q = q,
                         .q_stride = stride,
                         .heads = spec.heads,
                         .cache = cache,
                         .scale = spec.attention_scale,
                         .window = spec.per_layer[index].window,
                         .soft_cap = spec.attention_soft_cap,
                         .out = out});
  add_result(step, out, layer.attention_output, layer.post_attention_norm);
}

namespace {

void dense(const DeviceStep& step, const LayerWeights& layer, const Operand& in) {
  const Spec& spec = step.spec;
  const uint32_t stride = inner_width(spec), rows = step.batch.rows();
  float* gate = step.workspace.scratch;
  float* up = spec.gated ? gate + spec.feed_forward : nullptr;
  if (spec.gated && !spec.gate_in_up) {
    const Projection both[] = {{layer.gate.weight, layer.gate.bias, gate, stride},
                               {layer.up.weight, layer.up.bias, up, stride}};
    step.device.project(in, rows, both);
  } else {
    const Projection one{layer.up.weight, layer.up.bias, gate, stride};
    step.device.project(in, rows, {&one, 1});
  }
  const Operand out = operand(step, spec.feed_forward, forms_for(step.device, {&layer.down.weight}));
  step.device.activate({.kind = spec.activation, .gate = gate, .up = up, .stride = stride, .out = out});
  add_result(step, out, layer.down, layer.post_feed_forward_norm);
}

void experts(const DeviceStep& step, const LayerWeights& layer, const Operand& in) {
  CHECK(!layer.post_feed_forward_norm.weight);  // no architecture has both
  step.device.experts({.router = layer.router,
                       .gate = layer.expert_gate,
                       .up = layer.expert_up,
                       .down = layer.expert_down,
                       .experts = step.spec.experts,
                       .used = step.spec.experts_used,
                       .normalise = step.spec.normalise_experts,
                       .scale = step.spec.expert_scale,
                       .kind = step.spec.activation,
                       .in = in,
                       .out = step.workspace.x});
}

}  // namespace

void feed_forward(const DeviceStep& step, uint32_t index) {
  const LayerWeights& layer = step.weights.layers[index];
  const Operand in = normed(step, layer.feed_forward_norm, feed_forward_forms(step.device, layer));
  if (layer.router)
    experts(step, layer, in);
  else
    dense(step, layer, in);
}

void logits(const DeviceStep& step, float* out) {
  const uint32_t rows = static_cast<uint32_t>(step.batch.logit_rows.size()), width = step.spec.vocabulary;
  if (rows == 0) return;
  const Linear& output = step.weights.output;
  const Operand in = normed(step, step.weights.output_norm, forms_for(step.device, {&output.weight}), true);
  const Projection projection{output.weight, output.bias, out, width};
  step.device.project(in, rows, {&projection, 1});
  if (step.spec.logit_soft_cap != 0) step.device.soft_cap(out, rows, width, step.spec.logit_soft_cap);
}

uint64_t logits_row_bytes(const Spec& spec, const device::Sizing& sizing) {
  const uint64_t candidates = std::min(sizing.most_candidates(), spec.vocabulary);
  return spec.vocabulary * sizeof(float) + (candidates == 0 ? 0 : (candidates + 1) * sizeof(device::Candidate));
}

uint64_t workspace_bytes(const device::Sizing& sizing, const Spec& spec, const Weights& weights, uint32_t rows,
                         uint32_t logit_rows) {
  const uint64_t operand = std::max(rows, logit_rows) * operand_row_bytes(sizing, spec, weights);
  return float_bytes(rows, spec.width) + float_bytes(rows, scratch_width(spec)) + round_up(operand, kAlignment);
}

Workspace lay_out(std::byte* buffer, const Spec& spec, uint32_t rows) {
  std::byte* scratch = buffer + float_bytes(rows, spec.width);
  return {reinterpret_cast<float*>(buffer), reinterpret_cast<float*>(scratch),
          scratch + float_bytes(rows, scratch_width(spec))};
}

void embed(const DeviceStep& step) {
  step.device.embed({.table = step.weights.embedding,
                     .scale = step.spec.embedding_scale,
                     .positions = step.weights.positions,
                     .out = step.workspace.x});
}

}  // namespace hearth::models
