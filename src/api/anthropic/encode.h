// Replies in the form of Anthropic's API.
#pragma once

#include <memory>
#include <string>

#include "api/anthropic/ask.h"
#include "api/deliver.h"

namespace hearth::api::anthropic {

// {"type": "error", "error": {"type", "message"}, "request_id"}.
http::Response problem(const http::RequestHead& head, unsigned status, const std::string& message);
// Of a request for `model` that cannot be answered.
http::Response failure(const http::RequestHead& head, const AnswerEnd& end, const std::string& model);

struct WriterContext {
  ReplyForm form;
  http::RequestHead head;
  std::chrono::milliseconds ping_interval{0};
  std::vector<std::string> warnings = {};  // of decoding
};
std::shared_ptr<AnswerWriter> make_writer(WriterContext context);

}  // namespace hearth::api::anthropic
