// What of the settings concerns models.
#pragma once

#include "config/settings.h"
#include "fleet/fleet.h"

namespace hearth::serve {

fleet::FleetOptions fleet_options(const config::Settings& settings);

}  // namespace hearth::serve
