// Replies of routes that work on models for a while: a line of JSON for each step, the last one "success" or an error;
// or one object when all is done.
#pragma once

#include "api/router.h"
#include "api/service.h"

namespace hearth::api::ollama {

// The sinks that answer `call`. Errors that come before the first step have an HTTP status, by `status_for`; later ones are
// in the stream.
WorkSinks reply_with_steps(const Call& call, bool stream, unsigned (*status_for)(ErrorKind kind));
// Starts the work, which ends when the client goes.
void run_work(const Call& call, const std::function<Cancel()>& start);

}  // namespace hearth::api::ollama
