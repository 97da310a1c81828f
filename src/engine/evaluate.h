// Logits of many positions of one text, without an engine.
#pragma once

#include <functional>
#include <span>

#include "base/result.h"
#include "models/model.h"
#include "text/tokenizer.h"

namespace hearth::engine {

// What a model is loaded with for evaluate(): rows of a step are few enough that their logits are small.
models::LoadOptions evaluation_load_options(uint32_t context);

// Runs `tokens` as one sequence and gives the logits of every position from `first` on, in order; they are
// valid during the call. Errors: kUsage (no tokens, more than the context, an id out of range), kInvalidData (they are
// not finite), what the model and `take` say, kCancelled once stop() is true between two steps.
Status evaluate(models::Model& model, std::span<const text::Token> tokens, size_t first,
                const std::function<bool()>& stop,
                const std::function<Status(size_t position, std::span<const float> logits)>& take);

}  // namespace hearth::engine
