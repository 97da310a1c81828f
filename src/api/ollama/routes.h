// The routes of Ollama's API.
#pragma once

#include <memory>

#include "api/router.h"

namespace hearth::api::ollama {

void add_routes(Router& router, std::shared_ptr<const Service> service);

}  // namespace hearth::api::ollama
