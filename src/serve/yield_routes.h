// Memory of cards for other programs: POST /api/yield asks for it, GET lists the leases, DELETE /api/yield/ID ends one.
// For who may change which models are there. Bodies and answers: docs/sharing.md.
#pragma once

#include "api/router.h"
#include "fleet/fleet.h"
#include "serve/long_work.h"

namespace hearth::serve {

void add_yield_routes(api::Router& router, fleet::Fleet& models, LongWork& work);

// Errors: kUsage with the member that is wrong.
struct YieldAsked {
  fleet::YieldWish wish;
  std::string renews;  // the lease that is to last longer; empty: a new one
};
Result<YieldAsked> yield_from_json(std::string_view text);

}  // namespace hearth::serve
