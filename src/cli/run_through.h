// One answer of a hearth that serves, shown as `hearth run` shows its own.
#pragma once

#include <string>

#include "cli/remote.h"
#include "cli/session.h"

namespace hearth::cli {

// Whether a server can do what is asked: a named model, loaded as the server loads it, and nothing of the answer that
// only this process can give.
bool can_run_through(const RunOptions& options);

// Errors: the server's.
Status run_through(const Remote& server, const RunOptions& options, const std::string& prompt);

}  // namespace hearth::cli
