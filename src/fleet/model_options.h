// How a model is to be loaded, and what follows from it for its memory.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "device/types.h"
#include "fleet/gpus.h"
#include "models/load_options.h"

namespace hearth::fleet {

inline constexpr uint32_t kDefaultContext_tokens = 4096;  // as Ollama without a GPU; less if the model has less

// Weights on the host.
enum class HostWeights {
  kAuto,    // copied, unless memory would not hold them twice
  kCopied,  // into memory, which is faster
  kMapped,  // read in the mapped file, also if memory cannot hold them
};

struct ModelOptions {
  uint32_t context = 0;         // tokens; 0: see load_model()
  int threads = 0;              // 0: all that this process may use
  std::string kv_type = "f16";  // or "q8_0", "f32"
  std::string cpu_isa;          // empty: the best that the machine has
  GpuPolicy gpu = GpuPolicy::kAuto;
  HostWeights host_weights = HostWeights::kAuto;
  bool experts_last = false;  // where the GPU is too small: expert weights to the host before whole layers
};

device::CacheType cache_type(const std::string& kv_type);  // of one of the names above

// Pages of the cache for so many sequences of `context` tokens each. Errors: kUsage, if nobody can count them.
Result<uint32_t> pages_for(uint32_t sequences, uint32_t context);

// What a model is loaded with that gives so many answers at the same time; plans reckon with the same.
models::LoadOptions answer_load_options(uint32_t parallel);

}  // namespace hearth::fleet
