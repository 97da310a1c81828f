// Why something is less than it could be: an id of a cause and the facts of this case. Whoever meets it reports these;
// the words that people read are in the doctor's table (src/doctor), once for every surface that shows them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/registry.h"

namespace hearth {

struct Cause {
  std::string id;  // "exclusive-compute-mode"; empty: there is none
  // By the names that the words use: {"free", "3.3 GiB"}.
  std::vector<std::pair<std::string, std::string>> facts = {};
  std::string during = {};  // what was under way, before the words: "the GPU driver failed at loading the kernels"
  std::string detail = {};  // what goes behind them: "[CUDA_ERROR_NO_DEVICE, 100]"
  bool noteworthy = true;   // false: nothing here lets one expect better, so that there is nothing to warn of

  bool empty() const { return id.empty(); }
  friend bool operator==(const Cause&, const Cause&) = default;
};

// The words of one cause: what is wrong and what to do, both without a trailing period. "{free}" stands for a fact.
struct CauseWords {
  std::string id, what, remedy;
};
using RegisterCauseWords = Register<CauseWords>;
// Null for an id that has none.
const CauseWords* find_cause_words(std::string_view id);

// "the GPU driver failed at ...: the GPU has not enough free memory [CUDA_ERROR_OUT_OF_MEMORY, 2]"; empty if there is
// no cause. A program without the doctor's table shows id and facts.
std::string what_of(const Cause& cause);
std::string remedy_of(const Cause& cause);  // may be empty
std::string text_of(const Cause& cause);    // "<what>; <remedy>"

}  // namespace hearth
