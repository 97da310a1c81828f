// What the engine needs of a model: some numbers and the forward pass.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "device/types.h"

namespace hearth::models {
class Model;
}

namespace hearth::engine {

struct Backend {
  uint32_t vocabulary = 0;
  uint32_t context = 0;     // most tokens of one sequence
  uint32_t pages = 0;       // of device::kPage_tokens tokens each, for all sequences
  uint32_t batch_rows = 0;  // most rows in one step
  uint32_t logit_rows = 0;  // most rows with logits in one step
  // As models::Model::forward. The same tokens at the same positions must give the same logits whatever
  // else is in the batch. Called on the engine's thread only.
  std::function<Status(const device::Batch& batch, std::span<float> logits)> forward;
};

// The backend that is this model; the model must outlive it.
Backend backend_of(models::Model& model);

}  // namespace hearth::engine
