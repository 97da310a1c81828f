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

// Device memory that one step works in. The parts of a layer follow each other, so one float array
// (q, k, v, then gate and up, or a result before its norm) and one operand are enough.
struct Workspace {
  float* x = nullptr;            // rows of `width`: the residual stream
  float* scratch = nullptr;      // rows of scratch_width()
  std::byte* operand = nullptr;
  float* logits = nullptr;       // logit rows of `vocabulary`
};

// Bytes that a Workspace needs for so many rows; lay_out() divides a buffer of that size.
uint64_t workspace_bytes(const device::Device& device, const Spec& spec, const Weights& weights, uint32_t rows,
                         uint32_t logit_rows);
Workspace lay_out(std::byte* buffer, const device::Device& device, const Spec& spec, const Weights& weights,
                  uint32_t rows, uint32_t logit_rows);

struct Step {
  device::Device& device;
  const Spec& spec;
  const Weights& weights;
  std::span<const device::CacheLayer> cache;  // one per layer
  const Workspace& workspace;
  const device::Batch& batch;
};

// Queues the ops of one batch, without begin() and finish(). Leaves the logits in the workspace.
void run(const Step& step);

}  // namespace hearth::models
