// The forward pass, one for all architectures: what differs is in Spec and in which weights exist.
//
//   x = embedding
//   per layer:  x += norm?(output(attention(rotate(qkv(norm(x))))))
//               x += norm?(down(activation(gate(norm(x))) * up(norm(x))))   or the experts
//   logits = cap?(output(norm(x)))
#pragma once

#include <span>
#include <vector>

#include "device/device.h"
#include "models/spec.h"
#include "models/weights.h"

namespace hearth::models {

// Memory of one device that a step works in. The parts of a layer follow each other, so one float array
// (q, k, v, then gate and up, or a result before its norm) and one operand are enough.
struct Workspace {
  float* x = nullptr;        // the residual stream, rows of `width`; behind it what else residual_width() counts
  float* scratch = nullptr;  // rows of scratch_width()
  std::byte* operand = nullptr;
};

// What a Workspace needs for steps of so many rows, whichever shards of the model the device has; lay_out()
// divides a buffer of that size. `weights`: their formats and shapes count.
uint64_t workspace_bytes(const device::Sizing& sizing, const Spec& spec, const Weights& weights, uint32_t rows,
                         uint32_t logit_rows);
Workspace lay_out(std::byte* buffer, const Spec& spec, uint32_t rows);

// One device's part of a step.
struct DeviceStep {
  device::Device& device;
  const Spec& spec;
  const Weights& weights;
  const Workspace& workspace;
  const device::Batch& batch;
};

// Queue ops, without begin() and finish(); each takes x where the one before left it. The whole forward pass is
// embed, begin_residual, then attention and feed_forward of every layer, then end_residual and logits.
void embed(const DeviceStep& step);
void begin_residual(const DeviceStep& step);  // what there is beside the embeddings, or what stands in their place
void end_residual(const DeviceStep& step);
void attention(const DeviceStep& step, uint32_t layer, const device::CacheLayer& cache);
void feed_forward(const DeviceStep& step, uint32_t layer);
// What the output matrix reads, of all rows; valid until the next of these calls.
const float* hidden(const DeviceStep& step);
void logits(const DeviceStep& step, float* out);  // rows of `vocabulary`, one per logit row

// Of one logit row: the logits, and after those of all rows what the device finds of candidates.
uint64_t logits_row_bytes(const Spec& spec, const device::Sizing& sizing);

}  // namespace hearth::models
