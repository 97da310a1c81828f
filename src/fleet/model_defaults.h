// What a model in an Ollama folder brings along for its answers.
#pragma once

#include <string>
#include <vector>

#include "sampling/options.h"
#include "store/ollama_models.h"

namespace hearth::fleet {

// Sets those that can be set, as Ollama does: a number where an integer is needed loses its fraction. What the model
// brings along may be meant for other versions of other programs, so it never fails: gives those that were ignored
// ("mirostat_x 3"), without the options that say how a model is loaded, which are heeded elsewhere or mean nothing
// here.
std::vector<std::string> apply_model_parameters(const store::Parameters& parameters, sampling::Options& options);

}  // namespace hearth::fleet
