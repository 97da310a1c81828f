// Ollama's routes about models themselves, embeddings, and what only its cloud has.
#pragma once

#include <memory>

#include "api/router.h"

namespace hearth::api::ollama {

// Answers 501: the service lacks what the route needs.
void refuse_unoffered(const Call& call);
void add_model_routes(Router& router, std::shared_ptr<const Service> service);
// The reply of /api/show.
std::string details_reply(const ModelDetails& model);

}  // namespace hearth::api::ollama
