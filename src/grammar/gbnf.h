// Grammars as llama.cpp reads them (GBNF, grammars/README.md there): rules `name ::= alternatives`, the text is `root`.
//
//   "text"  [a-z] [^a-z] .  (group)  a | b  name  # comment
//   * + ? {m} {m,} {m,n}                  escapes: \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH (a character each)
//
// A rule may go on over lines inside a group, behind ::= and around |.
#pragma once

#include <string_view>

#include "base/result.h"
#include "grammar/grammar.h"

namespace hearth::grammar {

// Adds the texts of the rule `root`. Errors, with the line: kUsage (no grammar), kUnsupported (references to tokens,
// more than 10,000 rules or 1 MiB); Grammar::finish() refuses left recursion.
Result<NodeId> add_gbnf(Grammar& grammar, std::string_view text);

}  // namespace hearth::grammar
