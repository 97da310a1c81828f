#include "models/step_parts.h"

namespace hearth::models {

using device::Matrix;
using device::Operand;
using device::OperandForms;
using device::Projection;

OperandForms forms_for(const device::Sizing& device, std::initializer_list<const Matrix*> weights) {
  OperandForms forms = 0;
  for (const Matrix* weight : weights)
    if (*weight) forms |= device.operand_forms(*weight);
  return forms;
}

Operand operand(const DeviceStep& step, uint32_t width, OperandForms forms) {
  return {step.workspace.operand, width, forms};
}

Operand plain(const DeviceStep& step, const float* in, uint32_t width, OperandForms forms, bool compacted) {
  const Operand out = operand(step, width, forms);
  step.device.norm({.kind = device::NormKind::kNone,
                    .weight = {nullptr, width},
                    .bias = {},
                    .in = in,
                    .compacted = compacted,
                    .operand = out});
  return out;
}

Operand normed(const DeviceStep& step, const Norm& norm, OperandForms forms, bool logit_rows) {
  const Operand out = operand(step, step.spec.width, forms);
  step.device.norm({.kind = norm.weight ? step.spec.norm : device::NormKind::kNone,
                    .epsilon = step.spec.norm_epsilon,
                    .weight = norm.weight ? norm.weight : device::Vector{nullptr, step.spec.width},
                    .bias = norm.bias,
                    .in = step.workspace.x,
                    .logit_rows = logit_rows,
                    .operand = out});
  return out;
}

void project(const DeviceStep& step, const Operand& in, std::initializer_list<Projection> outs) {
  step.device.project(in, step.batch.rows(), {outs.begin(), outs.size()});
}

void add_result(const DeviceStep& step, const Operand& in, const Linear& linear, const Norm& post_norm) {
  const Spec& spec = step.spec;
  const bool before_sum = post_norm.weight && !spec.norms_on_sums;
  float* out = before_sum ? step.workspace.scratch : step.workspace.x;
  project(step, in, {{linear.weight, linear.bias, out, spec.width, !before_sum}});
  if (post_norm.weight) norm_result(step, post_norm, out, step.workspace.x, before_sum);
}

void norm_result(const DeviceStep& step, const Norm& norm, const float* in, float* out, bool add) {
  step.device.norm({.kind = step.spec.norm,
                    .epsilon = step.spec.norm_epsilon,
                    .weight = norm.weight,
                    .bias = norm.bias,
                    .in = in,
                    .operand = {},
                    .out = out,
                    .add = add});
}

void norm_in_place(const DeviceStep& step, const device::Vector& weight, float* values) {
  step.device.norm(
      {.epsilon = step.spec.norm_epsilon, .weight = weight, .bias = {}, .in = values, .operand = {}, .out = values});
}

}  // namespace hearth::models
