// Models as the dialects list them.
#pragma once

#include <vector>

#include "api/service.h"
#include "fleet/fleet.h"

namespace hearth::serve {

api::ModelSummary summarize(const store::ModelFiles& found, const fleet::ModelFacts& facts, uint64_t file_bytes);
// For the fleet, which knows no dialects.
fleet::LoadWish wish_of(const api::LoadWish& wish);
std::vector<api::RunningModel> running_models(const fleet::Fleet& models);

}  // namespace hearth::serve
