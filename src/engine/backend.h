// What the engine needs of a model: some numbers and the forward pass.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/types.h"
#include "engine/device_status.h"
#include "placement/plan.h"

namespace hearth::models {
class Model;
}

namespace hearth::engine {

struct Backend {
  uint32_t vocabulary = 0;
  uint32_t context = 0;  // most tokens of one sequence
  uint32_t pages = 0;    // of device::kPage_tokens tokens each, for all sequences
  // A sequence has all or none of so many adjacent pages (states of recurrent layers: device::CacheLayer).
  uint32_t page_group = 1;
  uint32_t batch_rows = 0;  // most rows in one step
  uint32_t logit_rows = 0;  // most rows with logits in one step
  uint32_t sequences = 0;   // most sequences in one step
  uint32_t width = 0;       // of the rows of Readout::hidden and of embedded ones; 0: it has none
  uint32_t adapters = 0;    // it knows 1 to this; each step has them as ranges of rows (Batch::adapters)
  // Every row attends to all of its sequence and nothing is cached (encoders): a sequence comes whole in one step,
  // without pages, and only its vector is wanted.
  bool whole = false;
  // As models::Model::forward. The same tokens at the same positions must give the same logits whatever
  // else is in the batch. Called on the engine's thread only.
  std::function<Status(const device::Batch& batch, device::Readout& readout)> forward;

  // The rest may be absent. All but devices() are called on the engine's thread between two steps, and change nothing
  // about what forward() gives.
  // What device::Readout::candidates may be in the next forward(); absent: 0.
  std::function<uint32_t()> most_candidates;
  // Needed if most_candidates() is ever not 0. The whole logits of a row of the last forward(), by its place in
  // batch.logit_rows.
  std::function<Status(uint32_t row, std::span<float> logits)> read_logits;
  // Calls body(0) .. body(count - 1), some at the same time, and returns when all are done; absent: one after the
  // other.
  std::function<void(uint32_t count, const std::function<void(uint32_t)>& body)> parallel;
  // On how many engines' behalf the host computes now, this one included: they share the time that a step may take.
  // Absent: 1.
  std::function<uint32_t()> sharers;
  // How long the last forward() waited for steps of other engines, which is not what it costs. Absent: not at all.
  std::function<std::chrono::nanoseconds()> waited;
  // After forward() gave logits that are not finite: the error that tells why, for a batch of one sequence of it.
  std::function<Error(const device::Batch& batch)> diagnose;
  // By page, which hold what is read again; the others need not move with their layers. Before maintain(), rearrange()
  // give_back() and take_free().
  std::function<void(const std::vector<bool>& live)> keep_pages;
  // Every maintain_interval, and before a step when it is due: a look at the devices, and at what is free on them.
  // True: layers are on their way, one in each call, and the next call is due before the next step. An error that says
  // kDeviceLost (by another model's fault, say) leads to recover() as that of forward() does.
  std::function<Result<bool>()> maintain;
  std::chrono::milliseconds maintain_interval{1000};
  std::function<Status(const placement::Arrangement& target)> rearrange;
  // More cache: `context` and `pages` from then on; see models::Model::grow().
  std::function<Status(uint32_t context, uint32_t pages)> grow;
  std::function<Status(uint64_t bytes)> give_back;  // so much device memory is to be free for others
  std::function<Status()> take_free;                // what is free was made so for this model
  // After forward() has failed with kDeviceLost: a new device, with the model and an empty cache.
  std::function<Status()> recover;
  // Where the model is. On any thread, at any time.
  std::function<DeviceStatus()> devices;
};

// The backend that is this model; the model must outlive it.
Backend backend_of(models::Model& model);

}  // namespace hearth::engine
