// Types of CUDA driver functions that hearth does not call but other programs do (NVIDIA, "CUDA Driver API").
#pragma once

#include "driver/cuda_abi.h"

typedef struct CUctxCreateParams_st CUctxCreateParams;  // affinities: not looked at
typedef void (*CUhostFn)(void* data);

enum CUlimit : int {
  CU_LIMIT_STACK_SIZE = 0x00,
  CU_LIMIT_PRINTF_FIFO_SIZE = 0x01,
  CU_LIMIT_MALLOC_HEAP_SIZE = 0x02,
};

enum CUstreamCaptureStatus : int {
  CU_STREAM_CAPTURE_STATUS_NONE = 0,
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2,
};
