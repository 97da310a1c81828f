// A grammar over a model's vocabulary, as the sampler and the engine use it.
#pragma once

#include <memory>

#include "grammar/grammar.h"
#include "grammar/token_trie.h"
#include "sampling/constraint.h"

namespace hearth::grammar {

// A constraint at the start of the grammar's text. Its clones share what is computed on the way, under a lock.
std::unique_ptr<sampling::Constraint> make_constraint(std::shared_ptr<const Grammar> grammar,
                                                      std::shared_ptr<const TokenTrie> trie);

}  // namespace hearth::grammar
