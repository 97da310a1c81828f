// OpenAI's batches (https://platform.openai.com/docs/api-reference/batch) on the queue.
#pragma once

#include <boost/json.hpp>

#include "api/router.h"
#include "serve/batch_work.h"
#include "serve/long_work.h"

namespace hearth::serve {

void add_batch_routes(api::Router& router, BatchWork& batch, LongWork& work);

inline constexpr const char* kOpenai_jobs = "openai batch";  // the name of their jobs

// The files that a batch has written once it has ended, by their ids: what went well, and what did not.
struct BatchOutput {
  batch::JobInfo job;
  bool errors = false;
};
std::string output_id(const batch::JobInfo& job, bool errors);
// Errors: kNotFound, also where it would be empty, or was deleted.
Result<BatchOutput> find_output(BatchWork& batch, const std::string& owner, const std::string& file_id);
// Its lines; false from `take` ends it.
Status each_output_line(BatchWork& batch, const BatchOutput& output,
                        const std::function<bool(const std::string& line)>& take);

}  // namespace hearth::serve
