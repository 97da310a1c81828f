// The GPUs of this machine for those who watch: what the driver tells of them, and how long each has computed for this
// process.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "metrics/figures.h"

namespace hearth::fleet {

// One thread.
class Cards {
 public:
  // The parts of memory are those of other processes and of this one's context (as far as the driver tells what this
  // process holds, without `own_bytes` by GPU's id that its models do). `ask`: also what only the driver knows, which
  // wakes a GPU that sleeps. A driver that does not answer is left alone for a while; then there are none.
  std::vector<metrics::GpuFigures> look(bool ask, const std::map<std::string, uint64_t>& own_bytes);

 private:
  bool find();

  std::vector<metrics::GpuFigures> found_;  // what does not change
  bool searched_ = false;
  std::chrono::steady_clock::time_point find_again_{}, ask_again_{};
};

// What a model of this process holds of the card with this number of the driver, in whole grains of its memory. Any
// thread.
uint64_t held_bytes(int ordinal, const std::string& model);

}  // namespace hearth::fleet
