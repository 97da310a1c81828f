// Which model works next: a pure function, so that its bounds can be proven without models. A model is drained before
// another is loaded, unless somebody else has waited too long and this one's slice is over.
#pragma once

#include <string>
#include <vector>

#include "batch/queue.h"

namespace hearth::batch {

struct Bounds {
  int64_t slice_loads = 20;        // a slice is so many times what a load takes: 5 % for switching
  int64_t least_slice_ms = 5'000;  // where loads are quick
  int64_t most_wait_ms = 60'000;   // of an owner whose model is not there, once the slice is over
};

struct Situation {
  std::string current;    // the model that is there; empty: none
  int64_t turn_ms = 0;    // since its turn began
  int64_t load_ms = 0;    // what its load took
  int64_t in_flight = 0;  // steps that run on it
  int64_t now_ms = 0;     // by the clock of the queue
};

// The model whose steps are to be taken; the current one while it has some; empty: none has.
std::string choose_model(const std::vector<Ready>& ready, const Situation& situation, const Bounds& bounds);

// How `slots` are shared among the owners of a model's steps: evenly, what one cannot use goes to the others.
std::vector<Wanted> share(const std::vector<Ready>& ready, const std::string& model, int64_t slots);

}  // namespace hearth::batch
