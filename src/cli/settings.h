// The flags of commands that take a server's settings.
#pragma once

#include "cli/arguments.h"
#include "config/load.h"

namespace hearth::cli {

// --config, --host and the like, and --set for all others; what is given goes into `inputs`.
void add_settings(Arguments& arguments, config::Inputs& inputs);

}  // namespace hearth::cli
