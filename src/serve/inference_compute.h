// What of the machine computes, in the words that people look for in a log.
#pragma once

#include "fleet/gpus.h"

namespace hearth::serve {

// A line for each GPU that can be used; or one that says why there is none.
void log_inference_compute(fleet::GpuPolicy policy);

}  // namespace hearth::serve
