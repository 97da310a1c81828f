// hearth's own routes about the machine, for its page: what a model would take here, its load, what is wrong with the
// machine, and how the server is set up.
#pragma once

#include <string>

#include "api/router.h"
#include "base/current.h"
#include "config/load.h"
#include "fleet/fleet.h"
#include "serve/long_work.h"

namespace hearth::serve {

// POST /hearth/plan and /hearth/load, of {"model", "context", "kv_type"}, the last two as the server has them if they
// are absent; GET /hearth/doctor; GET /hearth/causes/ID. What takes long is done on `work`.
void add_machine_routes(api::Router& router, fleet::Fleet& models, const fleet::FleetOptions& options, LongWork& work);

// Every setting with its value and where that comes from, as JSON.
std::string settings_json(const config::Loaded& loaded);
// GET /hearth/settings.
void add_settings_route(api::Router& router, const Current<std::string>& settings);

}  // namespace hearth::serve
