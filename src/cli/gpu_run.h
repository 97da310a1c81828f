// hearth gpu run --need SIZE -- COMMAND: a program that has a GPU's memory to itself.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace hearth::cli {

struct GpuRunOptions {
  std::string action;                // "run"
  std::string need;                  // "6GiB"
  int gpu = -1;                      // CUDA's number; below 0: where most is free
  std::vector<std::string> command;  // and its arguments
};

// A hearth that runs gives way, configured neighbours are asked for what is still missing, the card's lease file is
// locked, and the command runs; however it ends, all is given back. Errors: kBusy where there is not so much memory; an
// error without a message, with the command's exit code told to std::exit() before, never comes back.
Status gpu_run(const GpuRunOptions& options);

}  // namespace hearth::cli
