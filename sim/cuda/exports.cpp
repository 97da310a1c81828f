// The exported functions, made from the tables (sim/exports.cmake). One that api:: lacks does not link.
#include "sim/cuda/entry.h"
#include "sim/cuda/functions.h"

#define CUDA_EXPORT extern "C" __attribute__((visibility("default")))

#define CUDA_FUNCTION(name, symbol, parameters, arguments)                                   \
  CUDA_EXPORT CUresult symbol parameters {                                                   \
    return hearth::sim::cuda::enter(hearth::sim::cuda::Function::name,                       \
                                    [&] { return hearth::sim::cuda::api::name arguments; }); \
  }
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "sim/cuda_exports.inc"
#undef CUDA_FUNCTION
#undef CUDA_OPTIONAL

#define CUDA_FUNCTION(name, symbol, parameters, arguments)                                     \
  CUDA_EXPORT CUresult symbol parameters {                                                     \
    return hearth::sim::cuda::enter(hearth::sim::cuda::Function::symbol,                       \
                                    [&] { return hearth::sim::cuda::api::symbol arguments; }); \
  }
#include "sim/cuda_extra_exports.inc"
#undef CUDA_FUNCTION

namespace hearth::sim::cuda {

const FunctionFacts& facts_of(Function function) {
  static const FunctionFacts facts[] = {
#define CUDA_FUNCTION(name, symbol, parameters) {#name, #symbol, reinterpret_cast<void*>(&::symbol)},
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "driver/cuda_api.def"
#define CUDA_FUNCTION(name, symbol, parameters) {#name, #symbol, reinterpret_cast<void*>(&::symbol)},
#include "sim/cuda/extra.def"
  };
  static_assert(sizeof(facts) / sizeof(facts[0]) == kFunctions);
  return facts[static_cast<int>(function)];
}

}  // namespace hearth::sim::cuda
