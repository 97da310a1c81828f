// Makes a model by the hearth that serves, in whose store it then is: what it is made of is uploaded.
#pragma once

#include "cli/remote.h"
#include "store/create.h"

namespace hearth::cli {

// Errors: those of the server, in its words; kIo, kNotFound (a file), kCancelled.
Status create_through(const Remote& server, const store::Blueprint& plan, const store::CreateHooks& hooks);

}  // namespace hearth::cli
