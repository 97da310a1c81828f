// A bound on how long a model thinks: when its thinking has had so many tokens, what closes it comes next, and the
// answer goes on behind that.
#pragma once

#include "grammar/compose.h"
#include "sampling/constraint.h"
#include "text/tokenizer.h"

namespace hearth::grammar {

// `tokenizer` must outlive it. `inner`: what the answer must obey beside that; null: nothing. Where the inner
// constraint would not take what closes the thinking, the thinking goes on until it does. Errors: kUnsupported: the
// frame has no thinking that could be closed.
Result<std::unique_ptr<sampling::Constraint>> limit_thinking(const ReasoningFrame& frame, uint32_t most_tokens,
                                                             const text::Tokenizer& tokenizer,
                                                             std::unique_ptr<sampling::Constraint> inner);

}  // namespace hearth::grammar
