// Runs the calls that a model makes, by a command of the user's.
#pragma once

#include <string>

#include "base/result.h"

namespace hearth::cli {

// Runs `command` in a shell with `call` (JSON) and a line break as its standard input, and gives what it writes to
// standard output, without the last line break: the result for the model. A command that fails gives a result too,
// which says so: the model may know what to do. Errors: kCancelled once interrupted() (the command is ended), kIo if no
// process can be started.
Result<std::string> run_tool_command(const std::string& command, const std::string& call);

}  // namespace hearth::cli
