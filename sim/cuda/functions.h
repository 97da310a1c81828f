// Every function that the simulated libcuda.so.1 exports: those of src/driver/cuda_api.def, which hearth calls, and
// those of extra.def, which other programs call. api:: holds what they do; entry.h what is done before each.
#pragma once

#include "driver/cuda_abi.h"
#include "sim/cuda/extra_abi.h"

namespace hearth::sim::cuda {

enum class Function : int {
#define CUDA_FUNCTION(name, symbol, parameters) name,
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "driver/cuda_api.def"
#define CUDA_FUNCTION(name, symbol, parameters) symbol,
#include "sim/cuda/extra.def"
  kCount,
};
inline constexpr int kFunctions = static_cast<int>(Function::kCount);

struct FunctionFacts {
  const char* name;    // in the tables: cuMemAlloc
  const char* symbol;  // exported: cuMemAlloc_v2
  void* address;       // of the exported function
};
const FunctionFacts& facts_of(Function function);

namespace api {
#define CUDA_FUNCTION(name, symbol, parameters) CUresult name parameters;
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "driver/cuda_api.def"
#define CUDA_FUNCTION(name, symbol, parameters) CUresult symbol parameters;
#include "sim/cuda/extra.def"
}  // namespace api

}  // namespace hearth::sim::cuda
