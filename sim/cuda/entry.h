// What every exported function does before its own work: one call at a time, counted, met by the faults of the script.
#pragma once

#include <mutex>

#include "sim/cuda/functions.h"

namespace hearth::sim::cuda {

std::mutex& driver_mutex();

// The result with which the call ends at once, or CUDA_SUCCESS: go on. Under the lock.
CUresult before_call(Function function);

// HEARTH_SIM_TRACE=FILE: a line for each call and its result ("cuMemAlloc 0").
void trace_call(const char* name, CUresult result);

template <class Body>
CUresult enter(Function function, Body body) {
  const std::scoped_lock lock(driver_mutex());
  const CUresult refused = before_call(function);
  const CUresult result = refused == CUDA_SUCCESS ? body() : refused;
  trace_call(facts_of(function).symbol, result);
  return result;
}

}  // namespace hearth::sim::cuda
