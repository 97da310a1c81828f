// Anthropic's message batches (https://docs.anthropic.com/en/api/creating-message-batches) on the queue.
#pragma once

#include "api/router.h"
#include "serve/batch_work.h"
#include "serve/long_work.h"

namespace hearth::serve {

void add_message_batch_routes(api::Router& router, BatchWork& batch, LongWork& work);

}  // namespace hearth::serve
