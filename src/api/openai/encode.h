// Replies in the form of OpenAI's API.
#pragma once

#include <memory>
#include <string>

#include "api/event_writer.h"
#include "api/openai/ask.h"
#include "api/service.h"

namespace hearth::api::openai {

// {"error": {"message", "type", "param", "code"}}.
http::Response problem(unsigned status, const std::string& message, const std::string& param = {},
                       const std::string& code = {});
// The error of a request for `model` that cannot be answered. `prompt` is the parameter that has the prompt.
http::Response failure(const AnswerEnd& end, const std::string& model, const std::string& prompt);
// The error object alone, for streams that have begun.
boost::json::object failure_body(const AnswerEnd& end, const std::string& model, const std::string& prompt);

std::string fingerprint(const std::string& version);  // "fp_..."
boost::json::object usage_json(const Usage& usage);
// "stop", "length" or "tool_calls".
const char* finish_reason(const AnswerEnd& end, size_t complete_calls);

struct WriterContext {
  ReplyForm form;
  bool include_usage = false;
  std::string version;
  std::chrono::milliseconds ping_interval{0};
  std::vector<std::string> warnings = {};  // of decoding
};
// With reports on tokens, if they were asked for.
std::shared_ptr<AnswerWriter> make_chat_writer(WriterContext context, bool logprobs);
std::shared_ptr<AnswerWriter> make_completion_writer(WriterContext context, bool logprobs);
// The text that the arguments of a call of a custom tool stand for.
std::string custom_input(const std::string& arguments);

// What both kinds share: heads, errors, times.
class Writer : public EventWriter {
 public:
  // `object_type` and `chunk_type`: what the member "object" says of whole replies and of pieces of a stream.
  Writer(WriterContext context, std::string id, std::string prompt, const char* object_type, const char* chunk_type)
      : EventWriter(context.warnings),
        context_(std::move(context)),
        id_(std::move(id)),
        prompt_(std::move(prompt)),
        object_type_(object_type),
        chunk_type_(chunk_type) {}

  http::Response failure(const AnswerEnd& end) override;
  http::Ping ping() override { return {": ping\n", context_.ping_interval}; }

 protected:
  const ReplyForm& form() const { return context_.form; }
  bool include_usage() const { return context_.include_usage; }
  const std::string& prompt() const { return prompt_; }
  // A piece of a stream with this choice, which is a JSON object in pieces.
  void append_chunk(std::string& out, std::initializer_list<std::string_view> choice);
  // The usage of all, and what ends a stream.
  std::string closing(const std::vector<AnswerEnd>& ends) const;
  // The reply with all choices, whose ends are given.
  http::Response reply(boost::json::array choices, const std::vector<AnswerEnd>& ends,
                       const std::vector<std::string>& warnings) const;

 private:
  // The members that all objects of a reply begin with.
  boost::json::object object(const char* type) const;
  void add_last(const std::vector<AnswerEnd>& ends, boost::json::object& reply) const;
  void add_headers(http::ResponseHead& head) const override;

  const WriterContext context_;
  const std::string id_, prompt_;
  const char* const object_type_;
  const char* const chunk_type_;
  std::string chunk_begin_;  // up to the choice, the same for all
  const int64_t created_ = unix_seconds();
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  static int64_t unix_seconds();
};

}  // namespace hearth::api::openai
