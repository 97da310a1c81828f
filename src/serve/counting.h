// What is counted of a server while it works, for its page for Prometheus; what can be looked at when it is asked for
// is the observer's.
#pragma once

#include <memory>

#include "api/router.h"
#include "api/service.h"
#include "fleet/fleet.h"
#include "metrics/registry.h"

namespace hearth::serve {

// The same service, counting its answers. The registry must outlive it.
std::shared_ptr<const api::Service> with_counts(std::shared_ptr<const api::Service> service,
                                                metrics::Registry& registry);
// The fleet will count what it loads and lets go.
void count_loads(fleet::FleetOptions& options, metrics::Registry& registry);
// What the fleet itself counts, and the memory that other programs have leases of.
void add_fleet_source(metrics::Registry& registry, const fleet::Fleet& models);
// GET /metrics.
void add_metrics_route(api::Router& router, const metrics::Registry& registry);

}  // namespace hearth::serve
