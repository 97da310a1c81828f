// POST /api/create: models that are made while the server runs.
#pragma once

#include "api/service.h"
#include "serve/long_work.h"

namespace hearth::serve {

// Errors: kBusy where too many are made at once; those of fleet::create_model().
api::Cancel create(LongWork& work, api::CreateRequest request, api::WorkSinks sinks);

}  // namespace hearth::serve
