// What a model is loaded for.
#pragma once

#include <cstdint>
#include <functional>

#include "device/types.h"

namespace hearth::models {

struct LoadOptions {
  uint32_t context = 0;       // tokens a sequence may have; 0: the model's own
  uint32_t batch_rows = 512;  // most rows in one forward()
  uint32_t logit_rows = 64;   // most logit rows in one forward()
  uint32_t sequences = 0;     // most sequences in one forward(); 0: as many as logit rows
  uint32_t pages = 0;         // pages of cache per layer; 0: enough for one sequence of `context`
  device::CacheType cache = device::CacheType::kF16;
  // Copies matrices into memory of a device that could read them in the mapped file. A copy lies in huge pages, which
  // saves a tenth of the time of a step, and takes memory that the system cannot have back when it needs some.
  bool copy_weights = false;
  // Called on the loading thread with bytes of `total` that are on their devices.
  std::function<void(uint64_t done, uint64_t total)> progress = {};
};

}  // namespace hearth::models
