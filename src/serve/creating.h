// POST /api/create: models that are made while the server runs.
#pragma once

#include "api/service.h"
#include "serve/long_work.h"

namespace hearth::serve {

// Errors: kBusy where too many are made at once; those of fleet::create_model().
api::Cancel create(LongWork& work, api::CreateRequest request, api::WorkSinks sinks);

// Takes a blob into the first store that can be written; see api::Service::put_blob.
Result<std::shared_ptr<api::BlobSink>> receive_blob(const std::string& digest, std::optional<uint64_t> bytes);

}  // namespace hearth::serve
