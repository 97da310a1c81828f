// One command of the command line: one file in this folder defines one of these and registers it.
#pragma once

#include <functional>

#include "base/registry.h"
#include "base/result.h"
#include "cli/arguments.h"

namespace hearth::cli {

// Runs after the options are parsed. The error's kind decides the exit code, its message is printed; an
// empty message prints nothing.
using Action = std::function<Status()>;

struct Command {
  const char* name;     // "run"
  const char* summary;  // one line for `hearth --help`
  // Declares its arguments and returns the action, which owns what they are written to.
  Action (*configure)(Arguments& arguments);
};

using RegisterCommand = Register<Command>;

}  // namespace hearth::cli
