// A request from the dialects on its way through a model, and the model's events on their way back.
#pragma once

#include <memory>

#include "api/service.h"
#include "serve/models.h"
#include "serve/workers.h"

namespace hearth::serve {

// See api::Service::answer. Finds the model, waits for it, and prepares the prompt on a worker.
api::Cancel answer(Models& models, Workers& workers, api::AnswerRequest request, api::AnswerSink sink);

}  // namespace hearth::serve
