// The interactive chat.
#pragma once

#include "base/result.h"
#include "cli/session.h"

namespace hearth::cli {

// Until /bye or Ctrl-D. Needs a terminal as standard input.
Status chat(const RunOptions& options);

}  // namespace hearth::cli
