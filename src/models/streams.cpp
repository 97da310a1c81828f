#include "models/streams.h"

#include <algorithm>
#include <cmath>

#include "models/layer_inputs.h"
#include "models/step_parts.h"

namespace hearth::models {

namespace {

using device::NormKind;
using device::Operand;

constexpr float kLeast_magnitude = 1e-12f;  // squared: no row becomes another's magnitude by a division by 0

size_t array(const DeviceStep& step) {
  return size_t{step.batch.rows()} * step.spec.width;
}
float* stream(const DeviceStep& step, uint32_t index) {
  return step.workspace.x + index * array(step);
}
float* inner(const DeviceStep& step) {
  return stream(step, step.spec.streams.count);
}

// What mix() takes of the scratch, for each row.
uint32_t mixed_width(const Spec& spec) {
  return spec.streams.count * (spec.streams.count + 1);
}

// out = factor * in, or out += that.
void add_rows(const DeviceStep& step, const float* in, float factor, float* out, bool add) {
  step.device.norm({.kind = NormKind::kNone,
                    .weight = {nullptr, step.spec.width},
                    .bias = {},
                    .factor = factor,
                    .in = in,
                    .operand = {},
                    .out = out,
                    .add = add});
}

// out += factors of each row, which a product of what the router makes of `from` gives, times the arrays `in`.
void mix(const DeviceStep& step, const StreamWeights& weights, const device::Matrix& coefficients, const float* from,
         const float* in, uint32_t ins, float offset) {
  const Spec& spec = step.spec;
  const uint32_t count = spec.streams.count, rows = step.batch.rows();
  float *const modes = step.workspace.scratch, *const factors = modes + size_t{rows} * count;
  const Operand routed = operand(step, spec.width, forms_for(step.device, {&weights.router}));
  step.device.norm({.kind = spec.norm,
                    .epsilon = spec.norm_epsilon,
                    .weight = weights.router_norm,
                    .bias = {},
                    .in = from,
                    .operand = routed});
  project(step, routed, {{weights.router, {}, modes, count}});
  step.device.soft_cap(modes, rows, count, 1);  // tanh
  project(step, plain(step, modes, count, forms_for(step.device, {&coefficients})),
          {{coefficients, {}, factors, coefficients.rows}});
  step.device.mix({.in = in,
                   .out = stream(step, 0),
                   .ins = ins,
                   .outs = count,
                   .in_array = array(step),
                   .out_array = array(step),
                   .coefficients = factors,
                   .offset = offset,
                   .width = spec.width});
}

// out = rows of `in`, in parts, with the magnitude of the first stream's.
void make_alike(const DeviceStep& step, const float* in, const device::Pieces& pieces, float factor, float* out,
                bool add) {
  step.device.norm({.kind = NormKind::kLike,
                    .epsilon = kLeast_magnitude,
                    .weight = {nullptr, step.spec.width},
                    .bias = {},
                    .factor = factor,
                    .like = stream(step, 0),
                    .in = in,
                    .operand = {},
                    .out = out,
                    .add = add,
                    .pieces = &pieces});
}

}  // namespace

uint32_t streams_scratch_width(const Spec& spec) {
  if (spec.streams.count == 1) return 0;
  return std::max(
      {(spec.streams.count - 1) * spec.width, mixed_width(spec) + spec.width, spec.streams.side_rank + spec.width});
}

uint64_t streams_operand_bytes(const device::Sizing& sizing, const Spec& spec, const Weights& weights) {
  const uint32_t count = spec.streams.count;
  if (count == 1) return 0;
  const auto bytes = [&](const device::Matrix& weight) {
    return sizing.operand_bytes(forms_for(sizing, {&weight}), weight.cols);
  };
  uint64_t most = std::max<uint64_t>(bytes(weights.streams_in), (count - 1) * bytes(weights.streams_out));
  for (const LayerWeights& layer : weights.layers) {
    const StreamWeights& own = layer.streams;
    for (const device::Matrix* weight :
         {&own.router, &own.predict, &own.correct, &own.side_down.weight, &own.side_up.weight})
      most = std::max<uint64_t>(most, bytes(*weight));
  }
  return most;
}

Status read_streams_in(TensorReader& reader, const Spec& spec, Weights* weights) {
  const uint32_t others = spec.streams.count - 1;
  if (others == 0) return {};
  ASSIGN_OR_RETURN(weights->streams_in, reader.matrices("altup_proj.weight", others, spec.width, spec.width));
  return {};
}

Status read_streams_out(TensorReader& reader, const Spec& spec, Weights* weights) {
  const uint32_t others = spec.streams.count - 1;
  if (others == 0) return {};
  ASSIGN_OR_RETURN(weights->streams_out, reader.matrices("altup_unembd_proj.weight", others, spec.width, spec.width));
  return {};
}

Status read_streams(TensorReader& reader, const Spec& spec, const std::string& block, StreamWeights* weights) {
  const uint32_t count = spec.streams.count, width = spec.width, rank = spec.streams.side_rank;
  if (count == 1) return {};
  ASSIGN_OR_RETURN(weights->router_norm,
                   reader.vector(block + "altup_router_norm.weight", width, 1 / static_cast<float>(width)));
  ASSIGN_OR_RETURN(weights->router, reader.matrix(block + "altup_router.weight", count, width));
  ASSIGN_OR_RETURN(weights->predict, reader.matrix(block + "altup_predict_coef.weight", count * count, count));
  ASSIGN_OR_RETURN(weights->correct, reader.matrix(block + "altup_correct_coef.weight", count, count));
  ASSIGN_OR_RETURN(weights->correct_scale, reader.vector(block + "altup_correct_scale.weight", width));
  ASSIGN_OR_RETURN(weights->side_down, reader.linear(block + "laurel_l", rank, width));
  ASSIGN_OR_RETURN(weights->side_up, reader.linear(block + "laurel_r", width, rank));
  ASSIGN_OR_RETURN(weights->side_norm, reader.norm(block + "laurel_post_norm", width));
  return {};
}

void spread_streams(const DeviceStep& step) {
  const Spec& spec = step.spec;
  const uint32_t others = spec.streams.count - 1, width = spec.width;
  if (others == 0) return;
  const device::Matrix& weight = step.weights.streams_in;
  float* const made = step.workspace.scratch;
  project(step, plain(step, stream(step, 0), width, forms_for(step.device, {&weight})),
          {{weight, {}, made, others * width}});
  const device::Pieces pieces{others, others * width, width, width, static_cast<uint32_t>(array(step))};
  make_alike(step, made, pieces, 1, stream(step, 1), false);
}

// Through the array that layers work in, since all are made like the first stream.
void join_streams(const DeviceStep& step) {
  const Spec& spec = step.spec;
  const uint32_t others = spec.streams.count - 1, width = spec.width;
  if (others == 0) return;
  const float share = 1 / static_cast<float>(others + 1);
  const device::Matrix& weight = step.weights.streams_out;
  float *const made = step.workspace.scratch, *const sum = inner(step);
  const Operand rows = operand(step, width, forms_for(step.device, {&weight}));
  const device::Pieces arrays{others, width, static_cast<uint32_t>(array(step)), 0, 0};
  step.device.norm({.kind = NormKind::kNone,
                    .weight = {nullptr, width},
                    .bias = {},
                    .in = stream(step, 1),
                    .operand = rows,
                    .pieces = &arrays});
  step.device.project_heads({weight, others, rows, made, width});
  add_rows(step, stream(step, 0), share, sum, false);
  for (uint32_t i = 0; i < others; ++i) {
    const device::Pieces one{1, others * width, 0, width, 0};
    make_alike(step, made + size_t{i} * width, one, share, sum, true);
  }
  add_rows(step, sum, 1, stream(step, 0), false);
}

Workspace inner_workspace(const DeviceStep& step) {
  Workspace workspace = step.workspace;
  workspace.x = inner(step);
  return workspace;
}

void predict_streams(const DeviceStep& step, uint32_t index) {
  const StreamWeights& weights = step.weights.layers[index].streams;
  mix(step, weights, weights.predict, stream(step, 0), stream(step, 0), step.spec.streams.count, 0);
  add_rows(step, stream(step, 0), 1, inner(step), false);
}

void add_side_product(const DeviceStep& step, uint32_t index) {
  const Spec& spec = step.spec;
  const LayerWeights& layer = step.weights.layers[index];
  const StreamWeights& weights = layer.streams;
  const uint32_t rank = spec.streams.side_rank;
  float *const narrow = step.workspace.scratch, *const result = narrow + size_t{step.batch.rows()} * rank;
  const Operand in = operand(step, spec.width, forms_for(step.device, {&weights.side_down.weight}));
  step.device.norm({.kind = spec.norm,
                    .epsilon = spec.norm_epsilon,
                    .weight = layer.attention_norm.weight,
                    .bias = layer.attention_norm.bias,
                    .in = stream(step, 0),
                    .operand = in,
                    .out = inner(step),
                    .add = true});
  project(step, in, {{weights.side_down.weight, weights.side_down.bias, narrow, rank}});
  project(step, plain(step, narrow, rank, forms_for(step.device, {&weights.side_up.weight})),
          {{weights.side_up.weight, weights.side_up.bias, result, spec.width}});
  norm_result(step, weights.side_norm, result, inner(step), true);
  add_rows(step, inner(step), 1 / std::sqrt(2.0f), inner(step), false);
}

void correct_streams(const DeviceStep& step, uint32_t index) {
  const Spec& spec = step.spec;
  const LayerWeights& layer = step.weights.layers[index];
  float* const change = step.workspace.scratch + size_t{step.batch.rows()} * mixed_width(spec);
  add_rows(step, inner(step), 1, change, false);
  add_rows(step, stream(step, 0), -1, change, true);
  mix(step, layer.streams, layer.streams.correct, inner(step), change, 1, 1);

  const LayerInputWeights& inputs = layer.inputs;
  const Operand in = operand(step, spec.width, forms_for(step.device, {&inputs.gate.weight}));
  step.device.norm({.kind = NormKind::kNone,
                    .weight = layer.streams.correct_scale,
                    .bias = {},
                    .in = stream(step, 0),
                    .operand = in});
  const float* result = layer_input(step, index, in);
  for (uint32_t i = 1; i < spec.streams.count; ++i) norm_result(step, inputs.norm, result, stream(step, i), true);
}

}  // namespace hearth::models
