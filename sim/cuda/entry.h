// What every exported function does before its own work: one call at a time, counted, met by the faults of the script.
#pragma once

#include <mutex>

#include "sim/cuda/functions.h"

namespace hearth::sim::cuda {

std::mutex& driver_mutex();

// The result with which the call ends at once, or CUDA_SUCCESS: go on. Under the lock.
CUresult before_call(Function function);

template <class Body>
CUresult enter(Function function, Body body) {
  const std::scoped_lock lock(driver_mutex());
  const CUresult refused = before_call(function);
  return refused == CUDA_SUCCESS ? body() : refused;
}

}  // namespace hearth::sim::cuda
