// Models to and from other machines: /api/pull and /api/push.
#pragma once

#include "api/router.h"

namespace hearth::api::ollama {

void add_transfer_routes(Router& router, std::shared_ptr<const Service> service);

}  // namespace hearth::api::ollama
