// What it costs to hold texts to a grammar: processor time of the thread, and counts of what was visited, which do not
// depend on the machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "grammar/machine.h"

namespace hearth::grammar {

using Microseconds = std::chrono::duration<double, std::micro>;

// Of this thread, since some time.
Microseconds thread_time();

struct MaskCosts {
  struct Mask {
    Microseconds time;
    uint64_t visited;  // nodes of the vocabulary's trees
  };
  std::vector<Mask> masks;
  uint64_t forced = 0;  // tokens that needed no mask

  struct Summary {
    Microseconds average{0}, p999{0}, longest{0};
    double visited = 0;  // on average
    uint64_t most_visited = 0;
  };
  Summary summary() const;
};

// One whose first masks are made, as they are while a prompt is prefilled.
Machine prepared_machine(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

// Follows a text: a mask before each token, but where only one text can follow. `text` must be one of the grammar's, or
// begin one.
void measure_text(Machine& machine, const TokenTrie& trie, std::string_view text, MaskCosts& costs);

// The same for a text that is made up: each token is one of its mask's, with some liking for those that bring the text
// nearer to its end.
void measure_walk(Machine& machine, const TokenTrie& trie, uint64_t seed, size_t most_tokens, MaskCosts& costs);

}  // namespace hearth::grammar
