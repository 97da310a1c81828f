// Batch jobs over HTTP, for `hearth batch` and the page (docs/batch.md):
//   POST /hearth/jobs/KEY         lines of JSON: {"workflow", "info"}, then {"key", "data"} for each item. ?do=plan and
//                                 ?do=diff queue nothing
//   GET  /hearth/jobs, /hearth/jobs/KEY
//   POST /hearth/jobs/KEY/cancel, /pause, /resume, /retry
//   GET  /hearth/jobs/KEY/results the items' results, a line each, from ?from=N on; /first?count=N: a few
// Jobs belong to the key of who submitted them: another's are not there.
#pragma once

#include "api/router.h"
#include "serve/batch_work.h"
#include "serve/long_work.h"

namespace hearth::serve {

void add_job_routes(api::Router& router, BatchWork& batch, LongWork& work);

}  // namespace hearth::serve
