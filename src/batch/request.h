// From a step that was taken to the requests that answer it, and from their answers to what is kept of it.
#pragma once

#include <string>
#include <vector>

#include "batch/queue.h"
#include "batch/workflow.h"

namespace hearth::batch {

inline constexpr const char* kChat_path = "/v1/chat/completions";

struct Request {
  std::string path, body;  // body: JSON
  std::string model;       // as the body names it
};

struct Prepared {
  std::vector<Request> requests;  // one after the other; none: the step is skipped by its `when`
  std::string cache_key;          // equal for steps that must give the same
  bool each = false;              // one for every element of foreach
};

// `model`: the name that is asked; empty: the step's own. Errors: kInvalidData, for good: what a template does with
// this item.
Result<Prepared> prepare(const Compiled& workflow, const std::string& job_key, const Claimed& step,
                         const std::string& model);

// An answer to a request: the status and body of HTTP.
struct Reply {
  unsigned status = 0;
  std::string body;
};

// What is kept of a step: {"text", "json", "finish_reason", "usage", "error"}; of a job of requests {"status", "body"}.
struct Output {
  std::string json;
  int64_t prompt_tokens = 0, output_tokens = 0;
};
Output output_of(const Compiled& workflow, const Claimed& step, const Prepared& prepared,
                 const std::vector<Reply>& replies);
// Of a step that `when` or on_error = skip leaves out.
std::string skipped_output(const std::string& error);
// The message of a reply that is none of success.
std::string message_of(const Reply& reply);

}  // namespace hearth::batch
