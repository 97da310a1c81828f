// The models of another server as they would lie under hearth on this machine, once that server has let go of them.
#pragma once

#include <string>
#include <vector>

#include "doctor/facts.h"

namespace hearth::cli {

// A line for each model that the server has loaded, or was started with, and one more for what would help where it does
// not fit. Those whose GGUF file is not found are named; empty where no model is known.
std::vector<std::string> under_hearth(const doctor::Facts& facts);

}  // namespace hearth::cli
