// A grammar over a model's vocabulary, as the sampler and the engine use it.
#pragma once

#include <memory>

#include "grammar/compose.h"
#include "grammar/token_trie.h"
#include "sampling/constraint.h"

namespace hearth::grammar {

// A constraint at the start of the grammar's text. Its clones share what is computed on the way, under a lock.
std::unique_ptr<sampling::Constraint> make_constraint(std::shared_ptr<const Grammar> grammar,
                                                      std::shared_ptr<const TokenTrie> trie);

// What holds an answer to the rules; null if it is free. The last few rules' grammars and masks are kept with the trie,
// so that rules that come again cost nothing. Errors: those of compile_answer().
Result<std::unique_ptr<sampling::Constraint>> constrain(const AnswerRules& rules,
                                                        std::shared_ptr<const TokenTrie> trie,
                                                        std::vector<std::string>* warnings);

}  // namespace hearth::grammar
