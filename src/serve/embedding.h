// Texts as vectors, by any model that is a decoder.
#pragma once

#include <functional>

#include "api/service.h"
#include "fleet/fleet.h"
#include "serve/answering.h"
#include "serve/workers.h"

namespace hearth::serve {

// See api::Service::embed. Vectors have length 1 whether or not that is asked for.
api::Cancel embed(fleet::Fleet& models, Workers& workers, AnswerRate& rate, api::EmbedRequest request,
                  std::function<void(Result<api::Embeddings>)> done);

}  // namespace hearth::serve
