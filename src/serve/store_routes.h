// hearth's own routes about what the models take of the disks.
#pragma once

#include "api/router.h"
#include "serve/long_work.h"

namespace hearth::serve {

// GET /hearth/disk: the stores with their models, and what would be freed by what. POST /hearth/disk/gc of
// {"store": NAME}: deletes what no model uses. PUT, DELETE /hearth/pins/MODEL.
void add_store_routes(api::Router& router, LongWork& work);

}  // namespace hearth::serve
