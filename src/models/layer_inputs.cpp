#include "models/layer_inputs.h"

#include <algorithm>
#include <cmath>

#include "models/step_parts.h"

namespace hearth::models {

namespace {

uint32_t all_inputs(const Spec& spec) {
  return spec.layers * spec.layer_inputs;
}

float* inputs_of(const DeviceStep& step) {
  const Spec& spec = step.spec;
  return step.workspace.x + size_t{step.batch.rows()} * (residual_width(spec) - all_inputs(spec));
}

// The sum of the table's and the projection's numbers is divided by this.
const float kTwo_parts = std::sqrt(2.0f);

}  // namespace

uint32_t layer_inputs_scratch_width(const Spec& spec) {
  return std::max(all_inputs(spec), spec.layer_inputs != 0 ? spec.layer_inputs + spec.width : 0);
}

uint64_t layer_inputs_operand_bytes(const device::Sizing& sizing, const Spec& spec, const Weights& weights) {
  if (spec.layer_inputs == 0) return 0;
  uint64_t most = sizing.operand_bytes(forms_for(sizing, {&weights.layer_project.weight}), spec.width);
  for (const LayerWeights& layer : weights.layers) {
    most = std::max<uint64_t>(most, sizing.operand_bytes(forms_for(sizing, {&layer.inputs.gate.weight}), spec.width));
    most =
        std::max<uint64_t>(most, sizing.operand_bytes(forms_for(sizing, {&layer.inputs.up.weight}), spec.layer_inputs));
  }
  return most;
}

Status read_layer_table(TensorReader& reader, const Spec& spec, Weights* weights) {
  if (spec.layer_inputs == 0) return {};
  const uint32_t all = all_inputs(spec);
  ASSIGN_OR_RETURN(weights->layer_table, reader.matrix("per_layer_token_embd.weight", spec.vocabulary, all));
  ASSIGN_OR_RETURN(weights->layer_project, reader.linear("per_layer_model_proj", all, spec.width));
  ASSIGN_OR_RETURN(weights->layer_project_norm,
                   reader.vector("per_layer_proj_norm.weight", spec.layer_inputs, 1 / kTwo_parts));
  return {};
}

Status read_layer_inputs(TensorReader& reader, const Spec& spec, const std::string& block, LayerInputWeights* weights) {
  if (spec.layer_inputs == 0) return {};
  ASSIGN_OR_RETURN(weights->gate, reader.linear(block + "inp_gate", spec.layer_inputs, spec.width));
  ASSIGN_OR_RETURN(weights->up, reader.linear(block + "proj", spec.width, spec.layer_inputs));
  ASSIGN_OR_RETURN(weights->norm, reader.norm(block + "post_norm", spec.width));
  return {};
}

void make_layer_inputs(const DeviceStep& step) {
  const Spec& spec = step.spec;
  if (spec.layer_inputs == 0) return;
  const Weights& weights = step.weights;
  const uint32_t all = all_inputs(spec);
  float *const inputs = inputs_of(step), *const projected = step.workspace.scratch;
  step.device.embed({.table = weights.layer_table,
                     .scale = std::sqrt(static_cast<float>(spec.layer_inputs)) / kTwo_parts,
                     .positions = {},
                     .out = inputs});
  const Linear& projection = weights.layer_project;
  project(step, plain(step, step.workspace.x, spec.width, forms_for(step.device, {&projection.weight})),
          {{projection.weight, projection.bias, projected, all}});
  // The norm is of the projection divided by the root of the width.
  const device::Pieces layers{spec.layers, all, spec.layer_inputs, all, spec.layer_inputs};
  step.device.norm({.epsilon = spec.norm_epsilon * static_cast<float>(spec.width),
                    .weight = weights.layer_project_norm,
                    .bias = {},
                    .in = projected,
                    .operand = {},
                    .out = inputs,
                    .add = true,
                    .pieces = &layers});
}

const float* layer_input(const DeviceStep& step, uint32_t index, const device::Operand& in) {
  const Spec& spec = step.spec;
  const LayerInputWeights& weights = step.weights.layers[index].inputs;
  float *const gate = step.workspace.scratch, *const result = gate + size_t{step.batch.rows()} * spec.layer_inputs;
  project(step, in, {{weights.gate.weight, weights.gate.bias, gate, spec.layer_inputs}});
  const device::Operand out = operand(step, spec.layer_inputs, forms_for(step.device, {&weights.up.weight}));
  step.device.activate({.kind = spec.activation,
                        .gate = gate,
                        .up = inputs_of(step) + size_t{index} * spec.layer_inputs,
                        .stride = spec.layer_inputs,
                        .up_stride = all_inputs(spec),
                        .out = out});
  project(step, out, {{weights.up.weight, weights.up.bias, result, spec.width}});
  return result;
}

void add_layer_input(const DeviceStep& step, uint32_t index) {
  if (step.spec.layer_inputs == 0) return;
  const LayerInputWeights& weights = step.weights.layers[index].inputs;
  const device::OperandForms forms = forms_for(step.device, {&weights.gate.weight});
  const float* result = layer_input(step, index, plain(step, step.workspace.x, step.spec.width, forms));
  norm_result(step, weights.norm, result, step.workspace.x, true);
}

}  // namespace hearth::models
