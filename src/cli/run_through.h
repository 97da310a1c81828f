// Answers of a hearth that serves, shown as `hearth run` shows its own.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "cli/remote.h"
#include "cli/report.h"
#include "cli/session.h"

namespace hearth::cli {

// Whether a server can do what is asked: a named model, loaded as the server loads it, and nothing of the answer that
// only this process can give.
bool can_run_through(const RunOptions& options);

// What a request tells of how it is to be answered.
struct ThroughRequest {
  std::string model;
  store::Parameters settings;
  ThinkingChoice thinking;
  boost::json::array messages;  // as Ollama's API has them
};
struct ThroughAnswer {
  boost::json::object message;  // of the assistant, for the next request
  Report report = {};           // as far as the server tells
};
// A user's message with pictures, as Ollama's API has it.
boost::json::object user_message(const std::string& text, const PictureFiles& pictures);

// Shows the answer as it comes. Errors: the server's; kCancelled after a signal.
Result<ThroughAnswer> ask_through(const Remote& server, const ThroughRequest& request);

// One answer. Errors: likewise.
Status run_through(const Remote& server, const RunOptions& options, const std::string& prompt);

}  // namespace hearth::cli
