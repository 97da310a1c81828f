// The way of a request to its model: found by name, loaded, then a turn on a worker.
#pragma once

#include <memory>

#include "base/error.h"
#include "fleet/find_model.h"
#include "serve/holding.h"
#include "serve/summaries.h"
#include "serve/workers.h"

namespace hearth::serve {

// Calls job->run(lease) on a worker with the model loaded, or job->refuse(error), on any thread. What it returns
// cancels the job as long as it lasts; who keeps that may be what the job keeps.
template <class Job>
api::Cancel start(fleet::Fleet& models, Workers& workers, std::shared_ptr<Job> job) {
  auto found = fleet::find_named_model(job->request().model);
  if (!found) {
    job->refuse(found.error());
    return {};
  }
  const auto& asked = job->request();
  models.use(std::move(found).value(), wish_of(asked.load), asked.keep_alive,
             [job, &workers](const Result<std::shared_ptr<Holding::Lease>>& lease) {
               if (!lease) return job->refuse(lease.error());
               const bool posted = workers.post(job->request().caller.user, [job, lease = *lease] { job->run(lease); });
               if (!posted) job->refuse(error(ErrorKind::kBusy, "too many requests wait"));
             });
  return [weak = std::weak_ptr<Job>(job)] {
    if (const auto running = weak.lock()) running->cancel();
  };
}

}  // namespace hearth::serve
