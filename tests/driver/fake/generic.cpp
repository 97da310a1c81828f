// Every function of the table, weak: what the fake library does not define itself answers "not supported".
#include "driver/cuda_abi.h"

extern "C" {
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define CUDA_FUNCTION(name, symbol, parameters)      \
  __attribute__((weak)) CUresult symbol parameters { \
    return CUDA_ERROR_NOT_SUPPORTED;                 \
  }
#define CUDA_OPTIONAL CUDA_FUNCTION
#include "driver/cuda_api.def"
}
