#include "api/openai/encode.h"

#include <boost/json.hpp>

#include "api/reply.h"
#include "base/error.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

struct Kind {
  unsigned status;
  const char* type;
  const char* code;  // empty: none
};

Kind kind_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kUnsupported:
    case ErrorKind::kInvalidData:
      return {400, "invalid_request_error", kind == ErrorKind::kUnsupported ? "unsupported_value" : ""};
    case ErrorKind::kTooLong:
      return {400, "invalid_request_error", "context_length_exceeded"};
    case ErrorKind::kNotFound:
      return {404, "invalid_request_error", "model_not_found"};
    case ErrorKind::kBusy:
      return {429, "rate_limit_error", "rate_limit_exceeded"};
    case ErrorKind::kNoMemory:
    case ErrorKind::kNoDevice:
    case ErrorKind::kDeviceLost:
    case ErrorKind::kCancelled:
      return {503, "service_unavailable_error", "server_is_overloaded"};
    case ErrorKind::kTimeout:
      return {504, "server_error", ""};
    case ErrorKind::kNoSpace:
      return {507, "server_error", "insufficient_storage"};
    default:
      return {500, "server_error", ""};
  }
}

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(json::string_view(text));
}

json::object error_object(const std::string& message, const std::string& type, const std::string& param,
                          const std::string& code) {
  return {{"error",
           json::object{
               {"message", message}, {"type", type}, {"param", text_or_null(param)}, {"code", text_or_null(code)}}}};
}

// Agents look for these words before they shorten a conversation.
std::string overflow_text(const AnswerEnd& end) {
  return fmt::format(
      "This model's maximum context length is {} tokens. However, your messages resulted in {} tokens ({} in the "
      "messages, 0 in the completion). Please reduce the length of the messages or completion.",
      end.context_tokens, end.usage.prompt_tokens, end.usage.prompt_tokens);
}

}  // namespace

http::Response problem(unsigned status, const std::string& message, const std::string& param, const std::string& code) {
  const char* type = "invalid_request_error";
  std::string known = code;
  const auto usual = [&](const char* its_type, const char* its_code) {
    type = its_type;
    if (known.empty()) known = its_code;
  };
  if (status == 401) usual(type, "invalid_api_key");
  if (status == 404 && code.empty()) usual(type, "unknown_url");
  if (status == 405) usual(type, "method_not_supported");
  if (status == 413) usual(type, "request_too_large");
  if (status == 429) usual("rate_limit_error", "rate_limit_exceeded");
  if (status == 501) usual(type, "unsupported_endpoint");
  if (status == 503) usual("service_unavailable_error", "server_is_overloaded");
  if (status == 500 || status == 507) usual("server_error", "");
  http::Response response = json_reply(status, error_object(message, type, param, known));
  if (status == 501) response.head.headers.add("x-should-retry", "false");
  return response;
}

json::object failure_body(const AnswerEnd& end, const std::string& model, const std::string& prompt) {
  const Error& error = *end.error;
  const Kind kind = kind_of(error.kind);
  if (error.kind == ErrorKind::kNotFound)
    return error_object(fmt::format("The model '{}' does not exist here; {}", model, error.message), kind.type, "model",
                        kind.code);
  if (error.kind == ErrorKind::kTooLong)
    return error_object(end.context_tokens > 0 ? overflow_text(end) : error.message, kind.type, prompt, kind.code);
  return error_object(error.message, kind.type, "", kind.code);
}

http::Response failure(const AnswerEnd& end, const std::string& model, const std::string& prompt) {
  http::Response response = json_reply(kind_of(end.error->kind).status, failure_body(end, model, prompt));
  if (end.retry_after_s) {
    response.head.headers.add("retry-after", fmt::format("{}", *end.retry_after_s));
    response.head.headers.add("retry-after-ms", fmt::format("{}", *end.retry_after_s * 1000));
  }
  // The file or the machine will be the same at the next try.
  const ErrorKind kind = end.error->kind;
  if (kind == ErrorKind::kIo || kind == ErrorKind::kNoSpace || kind == ErrorKind::kNoMemory)
    response.head.headers.add("x-should-retry", "false");
  return response;
}

std::string fingerprint(const std::string& version) {
  return "fp_hearth_" + version;
}

json::object usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.generated_tokens},
          {"total_tokens", usage.prompt_tokens + usage.generated_tokens},
          {"prompt_tokens_details", json::object{{"cached_tokens", usage.cached_tokens}, {"audio_tokens", 0}}},
          {"completion_tokens_details", json::object{{"reasoning_tokens", usage.reasoning_tokens},
                                                     {"audio_tokens", 0},
                                                     {"accepted_prediction_tokens", 0},
                                                     {"rejected_prediction_tokens", 0}}}};
}

const char* finish_reason(const AnswerEnd& end, size_t complete_calls) {
  using Reason = AnswerEnd::Reason;
  if (end.reason == Reason::kLength || end.reason == Reason::kContextFull) return "length";
  return complete_calls > 0 ? "tool_calls" : "stop";
}

int64_t Writer::unix_seconds() {
  return unix_now();
}

http::Response Writer::failure(const AnswerEnd& end) {
  return told(openai::failure(end, form().model, prompt_));
}

void Writer::add_headers(http::ResponseHead& head) const {
  const auto took = std::chrono::steady_clock::now() - start_;
  head.headers.add("openai-processing-ms",
                   fmt::format("{}", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
}

json::object Writer::object(const char* type) const {
  return {{"id", id_},
          {"object", type},
          {"created", created_},
          {"model", form().model},
          {"system_fingerprint", fingerprint(context_.version)}};
}

// Prompts are counted once, however many answers they have.
void Writer::add_last(const std::vector<AnswerEnd>& ends, json::object& reply) const {
  Usage sum;
  const size_t per_prompt = std::max<size_t>(1, ends.size() / std::max<size_t>(1, context_.form.prompts));
  for (size_t i = 0; i < ends.size(); ++i) {
    const Usage& usage = ends[i].usage;
    sum.generated_tokens += usage.generated_tokens;
    sum.reasoning_tokens += usage.reasoning_tokens;
    if (i % per_prompt != 0) continue;
    sum.prompt_tokens += usage.prompt_tokens;
    sum.cached_tokens += usage.cached_tokens;
  }
  reply["usage"] = usage_json(sum);
  if (form().service_tier) reply["service_tier"] = *form().service_tier;
  if (!form().timings || ends.empty()) return;
  const Usage& first = ends.front().usage;
  const auto ms = [](Nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); };
  reply["timings"] = json::object{{"prompt_n", first.prompt_tokens - first.cached_tokens},
                                  {"prompt_ms", ms(first.prompt)},
                                  {"predicted_n", first.generated_tokens},
                                  {"predicted_ms", ms(first.generation)},
                                  {"cache_n", first.cached_tokens}};
}

void Writer::append_chunk(std::string& out, std::initializer_list<std::string_view> choice) {
  if (chunk_begin_.empty()) {
    chunk_begin_ = "{" + members_of(object(chunk_type_));
    if (include_usage()) chunk_begin_ += R"(,"usage":null)";
    chunk_begin_ += R"(,"choices":[)";
  }
  out += "data: ";
  out += chunk_begin_;
  for (const std::string_view piece : choice) out += piece;
  out += "]}\n\n";
}

std::string Writer::closing(const std::vector<AnswerEnd>& ends) const {
  std::string out;
  if (include_usage()) {
    json::object body = object(chunk_type_);
    body["choices"] = json::array();
    add_last(ends, body);
    out = event_text(body);
  }
  return out + "data: [DONE]\n\n";
}

http::Response Writer::reply(json::array choices, const std::vector<AnswerEnd>& ends,
                             const std::vector<std::string>& warnings) const {
  json::object body = object(object_type_);
  body["choices"] = std::move(choices);
  add_last(ends, body);
  return told(json_reply(200, body), warnings);
}

}  // namespace hearth::api::openai
