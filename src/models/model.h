// A loaded model: weights and cache on one or several devices, and the forward pass over a ragged batch.
//
// A layer's cache lives where its weights do. The residual stream crosses from device to device through host
// memory, once per border. Where two devices compute alike, results do not depend on what lies where.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "gguf/file.h"
#include "models/load_options.h"
#include "models/memory.h"
#include "models/spec.h"
#include "placement/plan.h"

namespace hearth::models {

// What load() on one device would take, without loading. Errors as load().
Result<Memory> estimate_memory(const gguf::File& file, const device::Sizing& device, const LoadOptions& options);

class Model {
 public:
  // Errors: kInvalidData (missing tensor or wrong shape: names it, found and expected; numbers that are not finite in
  // weights that are copied; an incomplete file), kUnsupported,
  // kNoMemory (needed and available, before anything is allocated), kUsage (context larger than the
  // model's), kDeviceLost. The devices must outlive the model and serve no other.
  static Result<std::unique_ptr<Model>> load(std::shared_ptr<const gguf::File> file, device::Device& device,
                                             const LoadOptions& options);
  // `arrangement` numbers `devices`.
  static Result<std::unique_ptr<Model>> load(std::shared_ptr<const gguf::File> file,
                                             std::vector<device::Device*> devices,
                                             const placement::Arrangement& arrangement, const LoadOptions& options);
  ~Model();

  const Spec& spec() const;
  const LoadOptions& options() const;  // with the zeros filled in
  Memory memory() const;               // on all devices
  std::span<device::Device* const> devices() const;
  const placement::Arrangement& arrangement() const;
  // What the shards take on each device, which is what a plan is made from.
  const std::vector<placement::ModelSizes>& sizes() const;

  // Runs one batch; its keys and values go to the pages it names. Errors: what the devices' finish() say; kIo naming
  // the file, if weights are read in a mapped one that was cut or written to: then, and from then on, no result is
  // good.
  Status forward(const device::Batch& batch, device::Readout& readout);
  // The same with the whole logits of every row of batch.logit_rows: spec().vocabulary values each.
  Status forward(const device::Batch& batch, std::span<float> logits);
  // The whole logits of a row of the last forward(), by its place in batch.logit_rows; until the next one, and while
  // nothing is rearranged.
  Status read_logits(uint32_t row, std::span<float> logits) const;
  // After logits that are not finite: why; see models/diagnose.h.
  Error diagnose(const device::Batch& batch) const;
  // Pages of a sequence come in groups of so many adjacent ones, the first a multiple of it: see device::CacheLayer.
  uint32_t page_group() const;
  // Readout::candidates may be so many now: what the device of the output matrix finds. 0: none.
  uint32_t most_candidates() const;

  // Moves what lies elsewhere than `target` says, between two forward()s: weights come from the file again,
  // the cache is copied, so that sequences go on as if nothing had happened. Moves to host memory come first.
  // Errors: kNoMemory, kDeviceLost, kUnsupported: what could not move stays where it was, and works, unless
  // a device is lost; arrangement() says what lies where.
  Status rearrange(const placement::Arrangement& target);

  // More cache, for more and longer sequences, between two forward()s: what the pages hold stays, and those that come are
  // behind them. `room`: bytes that each device has to give; a layer's cache is there twice while it is copied.
  // Errors: kNoMemory, before anything is allocated, or where somebody else was faster; kUsage (a context larger than
  // the model's); kUnsupported (the positions of a longer context are encoded in another way); kDeviceLost. But for the
  // last the model works on as it was.
  Status grow(uint32_t context, uint32_t pages, std::span<const uint64_t> room);

  // By page: what the others hold is not read again, and need not move.
  void keep_pages(const std::vector<bool>& live);

  // One more device, between two forward()s; it must outlive the model. It becomes number `index`, and those that were
  // there and behind it count one more, also in arrangement(). Nothing moves. Errors: those of measure().
  Status add_device(uint32_t index, device::Device& device);

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::models
