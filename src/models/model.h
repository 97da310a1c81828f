// A loaded model: weights on a device and the forward pass over a ragged batch.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "base/result.h"
#include "device/device.h"
#include "gguf/file.h"
#include "models/spec.h"

namespace hearth::models {

struct LoadOptions {
  uint32_t context = 0;           // tokens a sequence may have; 0: the model's own
  uint32_t batch_rows = 512;      // most rows in one forward()
  uint32_t logit_rows = 64;       // most logit rows in one forward()
  uint32_t pages = 0;             // pages of cache per layer; 0: enough for one sequence of `context`
  device::CacheType cache = device::CacheType::kF16;
};

// Bytes by part, exact.
struct Memory {
  uint64_t weights = 0, cache = 0, workspace = 0;
  uint64_t total() const { return weights + cache + workspace; }
};

// What load() would take, without loading. Errors as load().
Result<Memory> estimate_memory(const gguf::File& file, const device::Device& device, const LoadOptions& options);

class Model {
 public:
  // Errors: kInvalidData (missing tensor or wrong shape: names it, found and expected), kUnsupported,
  // kNoMemory (needed and available, before anything is allocated), kUsage (context larger than the
  // model's).
  static Result<std::unique_ptr<Model>> load(std::shared_ptr<const gguf::File> file, device::Device& device,
                                             const LoadOptions& options);
  ~Model();

  const Spec& spec() const;
  const LoadOptions& options() const;  // with the zeros filled in
  const Memory& memory() const;
  device::Device& device() const;

  // Runs one batch; its keys and values go to the pages it names. `logits` gets one row of
  // spec().vocabulary values per batch.logit_rows entry. Errors: what the device's finish() says.
  Status forward(const device::Batch& batch, std::span<float> logits);

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::models
