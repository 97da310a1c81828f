// POST /api/create.
#pragma once

#include "api/router.h"
#include "api/service.h"

namespace hearth::api::ollama {

// Errors: kUsage, kUnsupported (what is asked for and not offered, by name).
struct CreateAsk {
  CreateRequest request;
  bool stream = true;
};
Result<CreateAsk> decode_create(std::string_view body);

void create(const Service& service, const Call& call);

}  // namespace hearth::api::ollama
