#include "models/experts.h"

#include <vector>

#include "models/step_parts.h"

namespace hearth::models {

namespace {

using device::Operand;
using device::Projection;

// The first half of the expert that every token uses, or a share of it.
float* shared_share(const DeviceStep& step, float* at) {
  return at + size_t{step.batch.rows()} * 2 * step.spec.shared_feed_forward;
}
void begin_shared_expert(const DeviceStep& step, const LayerWeights& layer, const Operand& in, float* gate) {
  const uint32_t inner = step.spec.shared_feed_forward, rows = step.batch.rows();
  const bool is_gated = step.spec.gated, shares = static_cast<bool>(layer.shared_share);
  float* const up = is_gated ? gate + inner : gate;
  std::vector<Projection> all{{layer.shared_up.weight, layer.shared_up.bias, up, 2 * inner}};
  if (is_gated) all.push_back({layer.shared_gate.weight, layer.shared_gate.bias, gate, 2 * inner});
  if (shares) all.push_back({layer.shared_share, {}, shared_share(step, gate), 1});
  step.device.project(in, rows, all);
}

void finish_shared_expert(const DeviceStep& step, const LayerWeights& layer, const float* gate) {
  const uint32_t inner = step.spec.shared_feed_forward;
  const Operand out = operand(step, inner, forms_for(step.device, {&layer.shared_down.weight}));
  step.device.activate({.kind = step.spec.activation,
                        .gate = gate,
                        .up = step.spec.gated ? gate + inner : nullptr,
                        .stride = 2 * inner,
                        .row_gate = layer.shared_share ? shared_share(step, const_cast<float*>(gate)) : nullptr,
                        .out = out});
  add_result(step, out, layer.shared_down, {});
}

// Experts that read and write a narrower vector; the router, and the one that every token uses, read x.
void narrow_experts(const DeviceStep& step, const LayerWeights& layer, const Operand& in, device::ExpertsArgs args) {
  const Spec& spec = step.spec;
  const uint32_t width = spec.expert_width;
  const size_t rows = step.batch.rows();
  float *const logits = step.workspace.scratch, *const narrow = logits + rows * spec.experts,
               *const result = narrow + rows * width, *const shared = result + rows * width;
  project(step, in,
          {{args.router, args.router_bias, logits, spec.experts},
           {layer.expert_down_to.weight, layer.expert_down_to.bias, narrow, width}});
  if (spec.shared_feed_forward != 0) begin_shared_expert(step, layer, in, shared);
  args.logits = logits;
  args.router = {};
  args.router_bias = {};
  args.in = plain(step, narrow, width, forms_for(step.device, {&layer.expert_up}));
  args.out = result;
  args.add = false;
  step.device.experts(args);
  const Linear& up = layer.expert_up_from;
  add_result(step, plain(step, result, width, forms_for(step.device, {&up.weight})), up, {});
  if (spec.shared_feed_forward != 0) finish_shared_expert(step, layer, shared);
}

device::ExpertsArgs expert_args(const Spec& spec, const LayerWeights& layer) {
  device::ExpertsArgs args;
  args.router = layer.router;
  args.router_bias = layer.router_bias;
  args.gating = spec.expert_gating;
  args.choice_bias = layer.choice_bias;
  args.groups = spec.expert_groups;
  args.groups_used = spec.expert_groups_used;
  args.gate = layer.expert_gate;
  args.up = layer.expert_up;
  args.down = layer.expert_down;
  args.gate_bias = layer.expert_gate_bias;
  args.up_bias = layer.expert_up_bias;
  args.down_bias = layer.expert_down_bias;
  args.gate_in_up = spec.expert_gate_in_up;
  args.result_scale = layer.expert_result_scale;
  args.experts = spec.experts;
  args.used = spec.experts_used;
  args.normalise = spec.normalise_experts;
  args.scale = spec.expert_scale;
  args.weigh_inputs = spec.weigh_expert_inputs;
  args.kind = spec.activation;
  return args;
}

// result = the dense part of x.
void dense_part(const DeviceStep& step, const LayerWeights& layer, float* result, float* inner) {
  const Spec& spec = step.spec;
  const uint32_t size = layer.down.weight.cols;
  project(step, normed(step, layer.feed_forward_norm, forms_for(step.device, {&layer.gate.weight, &layer.up.weight})),
          {{layer.gate.weight, layer.gate.bias, inner, 2 * size},
           {layer.up.weight, layer.up.bias, inner + size, 2 * size}});
  const Operand out = operand(step, size, forms_for(step.device, {&layer.down.weight}));
  step.device.activate({.kind = spec.activation, .gate = inner, .up = inner + size, .stride = 2 * size, .out = out});
  project(step, out, {{layer.down.weight, layer.down.bias, result, spec.width}});
}

}  // namespace

void experts(const DeviceStep& step, const LayerWeights& layer, const Operand& in) {
  const Spec& spec = step.spec;
  CHECK(!layer.post_feed_forward_norm.weight);  // no architecture has both
  device::ExpertsArgs args = expert_args(spec, layer);
  args.in = in;
  args.out = step.workspace.x;
  if (spec.expert_width != 0) return narrow_experts(step, layer, in, args);
  step.device.experts(args);
  if (spec.shared_feed_forward == 0) return;
  begin_shared_expert(step, layer, in, step.workspace.scratch);
  finish_shared_expert(step, layer, step.workspace.scratch);
}

void dense_and_experts(const DeviceStep& step, const LayerWeights& layer) {
  const Spec& spec = step.spec;
  const size_t rows = step.batch.rows();
  float *const sum = step.workspace.scratch, *const result = sum + rows * spec.width,
               *const logits = result + rows * spec.width, *const inner = logits + rows * spec.experts;
  dense_part(step, layer, result, inner);
  norm_result(step, layer.dense_post_norm, result, sum, false);
  const Norm router{layer.router_norm, {}};
  project(step, normed(step, router, forms_for(step.device, {&layer.router})),
          {{layer.router, {}, logits, spec.experts}});
  device::ExpertsArgs args = expert_args(spec, layer);
  args.logits = logits;
  args.router = {};
  args.in = normed(step, layer.experts_norm, forms_for(step.device, {&layer.expert_gate, &layer.expert_up}));
  args.out = result;
  args.add = false;
  step.device.experts(args);
  norm_result(step, layer.experts_post_norm, result, sum, true);
  norm_result(step, layer.post_feed_forward_norm, sum, step.workspace.x, true);
}

}  // namespace hearth::models
