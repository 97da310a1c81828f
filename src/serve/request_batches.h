// Batches of requests of one dialect as jobs: each line is an item with one step, its request as it came.
#pragma once

#include <boost/json.hpp>
#include <functional>

#include "serve/batch_work.h"

namespace hearth::serve {

inline constexpr int64_t kBatch_window_ms = 24 * 3'600'000;

// One request of a batch.
struct BatchLine {
  std::string custom_id;
  boost::json::object body;
};
// Queues a batch: `next` gives its requests one after the other, and an empty one at the end. `name`: of the jobs of
// this dialect. Models that are not there fail when it is their turn, each for itself. Gives the job. Errors: kUsage,
// for a custom_id that was there before; kNoSpace, kIo; those of `next`.
using NextLine = std::function<Result<std::optional<BatchLine>>()>;
Result<batch::JobInfo> submit_batch(BatchWork& batch, const api::Caller& caller, const std::string& key,
                                    const std::string& name, const std::string& endpoint,
                                    const boost::json::object& info, const NextLine& next);

// Of an owner's jobs of a dialect the part that is asked for, the newest first.
struct BatchPage {
  std::vector<batch::JobInfo> jobs;
  bool more = false;
};
Result<BatchPage> page_of(BatchWork& batch, const std::string& owner, const std::string& name, const std::string& after,
                          size_t limit);

// What became of each request, in the order in which they came. Errors: of the database; false from `take` ends it.
Status each_request(BatchWork& batch, const batch::JobInfo& job,
                    const std::function<bool(const batch::StepResult& result)>& take);

boost::json::object info_of(const batch::JobInfo& job);
bool has_ended(const batch::JobInfo& job);

}  // namespace hearth::serve
