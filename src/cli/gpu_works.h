// Whether a GPU on which no fault was found also computes, and as fast as it should: for hearth doctor.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::cli {

// What was seen, a line each; takes some seconds. Errors: kInvalidData where it computes wrongly, those of what opens
// and uses a GPU.
Result<std::vector<std::string>> gpu_works();

}  // namespace hearth::cli
