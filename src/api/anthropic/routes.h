// The routes of Anthropic's Messages API, and what Claude Code asks for beside it.
#pragma once

#include <memory>

#include "api/router.h"

namespace hearth::api::anthropic {

// Before OpenAI's: problems of requests that are both's are said in this dialect if they carry its version.
void add_routes(Router& router, std::shared_ptr<const Service> service);

}  // namespace hearth::api::anthropic
