// The routes of OpenAI's API, and those that vLLM and llama.cpp have beside them.
#pragma once

#include <memory>

#include "api/router.h"

namespace hearth::api::openai {

void add_routes(Router& router, std::shared_ptr<const Service> service);  // all of them
void add_response_routes(Router& router, std::shared_ptr<const Service> service);
void add_token_routes(Router& router, std::shared_ptr<const Service> service);

}  // namespace hearth::api::openai
