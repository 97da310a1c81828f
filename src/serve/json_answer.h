// Answers of the server's own routes, as JSON.
#pragma once

#include <boost/json.hpp>
#include <functional>

#include "api/router.h"
#include "base/error.h"
#include "serve/long_work.h"

namespace hearth::serve {

http::Response json_answer(unsigned status, const boost::json::value& value);
// {"error": ...}, with its message and the status of its kind.
http::Response failure_answer(const Error& error);
// Runs `answer` on a thread of its own and sends what it gives; 503 where there is no thread to be had.
void answer_later(LongWork& work, const api::Call& call, std::function<http::Response()> answer);

}  // namespace hearth::serve
