// What stands before and behind the layers.
#include <algorithm>

#include "models/layer_inputs.h"
#include "models/step_parts.h"
#include "models/streams.h"

namespace hearth::models {

using device::Operand;
using device::OperandForms;
using device::Projection;

void embed(const DeviceStep& step) {
  const Weights& weights = step.weights;
  const Linear& widen = weights.project_in;
  if (!widen.weight)
    return step.device.embed({.table = weights.embedding,
                              .scale = step.spec.embedding_scale,
                              .positions = weights.positions,
                              .out = step.workspace.x});
  float* narrow = step.workspace.scratch;
  step.device.embed({.table = weights.embedding, .scale = step.spec.embedding_scale, .positions = {}, .out = narrow});
  const OperandForms forms = forms_for(step.device, {&widen.weight});
  const Operand in = plain(step, narrow, step.spec.embedding_width, forms, false);
  const Projection projection{widen.weight, widen.bias, step.workspace.x, step.spec.width};
  step.device.project(in, step.batch.rows(), {&projection, 1});
  if (weights.positions) step.device.embed({.table = {}, .positions = weights.positions, .out = step.workspace.x});
}

void begin_residual(const DeviceStep& step) {
  make_layer_inputs(step);
  spread_streams(step);
}

void end_residual(const DeviceStep& step) {
  join_streams(step);
}

const float* hidden(const DeviceStep& step) {
  const Norm& norm = step.weights.output_norm;
  if (!norm.weight) return step.workspace.x;
  step.device.norm({.kind = step.spec.norm,
                    .epsilon = step.spec.norm_epsilon,
                    .weight = norm.weight,
                    .bias = norm.bias,
                    .in = step.workspace.x,
                    .operand = {},
                    .out = step.workspace.scratch});
  return step.workspace.scratch;
}

void logits(const DeviceStep& step, float* out) {
  const uint32_t rows = static_cast<uint32_t>(step.batch.logit_rows.size()), width = step.spec.vocabulary;
  if (rows == 0) return;
  const Linear &output = step.weights.output, &narrow = step.weights.project_out;
  const OperandForms forms = forms_for(step.device, {&output.weight});
  Operand in =
      normed(step, step.weights.output_norm, narrow.weight ? forms_for(step.device, {&narrow.weight}) : forms, true);
  if (narrow.weight) {
    float* to = step.workspace.scratch;
    const Projection projection{narrow.weight, narrow.bias, to, step.spec.embedding_width};
    step.device.project(in, rows, {&projection, 1});
    in = plain(step, to, step.spec.embedding_width, forms, true);
  }
  const Projection projection{output.weight, output.bias, out, width};
  step.device.project(in, rows, {&projection, 1});
  if (step.spec.logit_soft_cap != 0) step.device.soft_cap(out, rows, width, step.spec.logit_soft_cap);
}

uint64_t logits_row_bytes(const Spec& spec, const device::Sizing& sizing) {
  const uint64_t candidates = std::min(sizing.most_candidates(), spec.vocabulary);
  return spec.vocabulary * sizeof(float) + (candidates == 0 ? 0 : (candidates + 1) * sizeof(device::Candidate));
}

}  // namespace hearth::models
