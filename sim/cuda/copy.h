// From the parameters of copy functions to operations: which end is where, and what must be taken at once.
#pragma once

#include "sim/cuda/state.h"

namespace hearth::sim::cuda {

// A copy of plain bytes. Ends that the caller says are on the host may be pageable (then the bytes are staged now, or
// the caller must wait) or pinned; device ends must lie wholly in memory that exists: else INVALID_VALUE.
CUresult make_copy(CopyEnd to, CopyEnd from, std::size_t bytes, Copy& copy);
CUresult make_copy(const Context& context, const CUDA_MEMCPY3D& parameters, Copy& copy);

CopyEnd device_end(CUdeviceptr address);
CopyEnd host_end(const void* address);
// Where unified addressing says it is: the caller did not.
CopyEnd any_end(CUdeviceptr address);

bool is_pageable(const CopyEnd& end, std::size_t bytes);

}  // namespace hearth::sim::cuda
