// OpenAI's embeddings.
#pragma once

#include <memory>

#include "api/router.h"

namespace hearth::api::openai {

void add_embedding_routes(Router& router, std::shared_ptr<const Service> service);

// POST /v1/rerank and its other paths.
void add_rerank_routes(Router& router, std::shared_ptr<const Service> service);

}  // namespace hearth::api::openai
