// What a client sends to have a job: read piece by piece, checked, planned, compared or queued.
#pragma once

#include <boost/json.hpp>

#include "serve/batch_work.h"

namespace hearth::serve {

enum class UploadUse { kSubmit, kPlan, kDiff };

// Lines as job_routes.h has them. Gives what is answered. Errors: kUsage with the line, kNotFound (a model), kNoSpace.
Result<boost::json::object> take_upload(BatchWork& batch, const api::Caller& caller, const std::string& key,
                                        std::string_view lines, UploadUse use);

}  // namespace hearth::serve
