#include "api/anthropic/encode.h"

#include <algorithm>
#include <boost/json.hpp>

#include "api/anthropic/blocks_out.h"
#include "api/event_writer.h"
#include "api/reply.h"
#include "api/router.h"
#include "base/error.h"
#include "base/random.h"

namespace hearth::api::anthropic {
namespace {

namespace json = boost::json;

constexpr size_t kId_letters = 24;
constexpr std::chrono::milliseconds kLongest_silence{10'000};
const char* const kPing = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

const char* type_of(unsigned status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

unsigned status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kUnsupported:
    case ErrorKind::kInvalidData:
    case ErrorKind::kTooLong:
      return 400;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kTimeout:
      return 504;
    case ErrorKind::kBusy:
    case ErrorKind::kCancelled:
    case ErrorKind::kNoMemory:
    case ErrorKind::kNoDevice:
    case ErrorKind::kDeviceLost:
      return 529;
    case ErrorKind::kNoSpace:
      return 507;
    default:
      return 500;
  }
}

std::string words_of(const AnswerEnd& end, const std::string& model) {
  const Error& error = *end.error;
  if (error.kind == ErrorKind::kNotFound) return fmt::format("model: {} ({})", model, error.message);
  // Claude Code and others shorten the conversation when they read this.
  if (error.kind == ErrorKind::kTooLong && end.context_tokens > 0)
    return fmt::format("prompt is too long: {} tokens > {} maximum", end.usage.prompt_tokens, end.context_tokens);
  return error.message;
}

json::object error_object(unsigned status, const std::string& message) {
  return {{"type", "error"}, {"error", json::object{{"type", type_of(status)}, {"message", message}}}};
}

json::object usage_json(const Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"output_tokens", usage.generated_tokens}};
}

json::object whole_usage(const Usage& usage) {
  json::object object = usage_json(usage);
  object["cache_creation"] = json::object{{"ephemeral_5m_input_tokens", 0}, {"ephemeral_1h_input_tokens", 0}};
  object["output_tokens_details"] = json::object{{"thinking_tokens", usage.reasoning_tokens}};
  object["server_tool_use"] = nullptr;
  object["service_tier"] = "standard";
  return object;
}

const char* stop_reason(const AnswerEnd& end, size_t complete_calls) {
  using Reason = AnswerEnd::Reason;
  if (end.reason == Reason::kLength) return "max_tokens";
  if (end.reason == Reason::kContextFull) return "model_context_window_exceeded";
  if (complete_calls > 0) return "tool_use";
  return end.stop.empty() ? "end_turn" : "stop_sequence";
}

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(json::string_view(text));
}

class Writer : public EventWriter {
 public:
  explicit Writer(WriterContext context)
      : EventWriter(context.warnings),
        context_(std::move(context)),
        blocks_(context_.form, {.event = [this](const char* type, const json::object& data) { emit(type, data); },
                                .delta = [this](size_t index, const char* kind, const char* member,
                                                std::string_view text) { emit_delta(index, kind, member, text); }}) {}

  http::Response failure(const AnswerEnd& end) override {
    return told(anthropic::failure(context_.head, end, context_.form.model));
  }

  http::Response whole(const std::vector<WholeAnswer>& answers, const std::vector<std::string>& warnings) override {
    const WholeAnswer& answer = answers.front();
    BlockList list;
    BlockStream stream(context_.form,
                       {.event = [&](const char* type, const json::object& data) { list.take(type, data); },
                        .delta = [&](size_t, const char* kind, const char* member,
                                     std::string_view text) { list.add(kind, member, text); }});
    replay(answer, stream);
    json::object body = message(std::move(list).blocks(), whole_usage(answer.end.usage));
    body["stop_reason"] = stop_reason(answer.end, stream.complete_calls());
    body["stop_sequence"] = text_or_null(stop_of(answer.end, stream.complete_calls()));
    if (context_.form.edits_context) body["context_management"] = edits();
    return told(json_reply(200, body), warnings);
  }

  http::Ping ping() override { return {kPing, std::min(context_.ping_interval, kLongest_silence)}; }

  std::string pieces(const AnswerEvent& event) override {
    if (event.begin) begin_ = *event.begin;
    const bool content = !event.deltas.empty() || event.end;
    if (event.end && event.end->error) {
      const unsigned status = status_of(event.end->error->kind);
      return event_text(error_object(status, words_of(*event.end, context_.form.model)), "error");
    }
    // What is in the cache is known when the model begins with the prompt.
    if (begin_.cached_tokens || content) begin_message();
    for (const chat::Delta& delta : event.deltas) blocks_.add(delta);
    if (event.end) end(*event.end);
    return std::exchange(out_, {});
  }

 private:
  static json::object edits() { return {{"applied_edits", json::array()}}; }
  static std::string stop_of(const AnswerEnd& end, size_t complete_calls) {
    return stop_reason(end, complete_calls) == std::string_view("stop_sequence") ? end.stop : "";
  }

  // What was said, in the order in which it was: the same as in a stream.
  static void replay(const WholeAnswer& answer, BlockStream& stream) {
    for (const chat::Delta& delta : answer.deltas) stream.add(delta);
    stream.end();
  }

  json::object message(json::array content, json::object usage) const {
    return {{"id", id_},
            {"type", "message"},
            {"role", "assistant"},
            {"model", context_.form.model},
            {"container", nullptr},
            {"content", std::move(content)},
            {"stop_reason", nullptr},
            {"stop_sequence", nullptr},
            {"stop_details", nullptr},
            {"usage", std::move(usage)}};
  }

  void emit(const char* type, const json::object& data) { append_event(out_, type, {json::serialize(data)}); }
  void emit_delta(size_t index, const char* kind, const char* member, std::string_view text) {
    constexpr const char* kType = "content_block_delta";
    append_event(out_, kType,
                 {R"({"type":")", kType, R"(","index":)", fmt::format_int(index).str(), R"(,"delta":{"type":")", kind,
                  R"(",")", member, R"(":)", quoted(text), "}}"});
  }

  void begin_message() {
    if (std::exchange(begun_, true)) return;
    Usage usage;
    usage.prompt_tokens = begin_.prompt_tokens;
    usage.cached_tokens = begin_.cached_tokens.value_or(0);
    emit("message_start", {{"type", "message_start"}, {"message", message(json::array(), whole_usage(usage))}});
    out_ += kPing;
  }

  void end(const AnswerEnd& end) {
    blocks_.end();
    const size_t calls = blocks_.complete_calls();
    json::object delta{{"stop_reason", stop_reason(end, calls)}};
    delta["stop_sequence"] = text_or_null(stop_of(end, calls));
    delta["stop_details"] = nullptr;
    json::object usage = usage_json(end.usage);
    usage["output_tokens_details"] = json::object{{"thinking_tokens", end.usage.reasoning_tokens}};
    json::object data{{"type", "message_delta"}, {"delta", std::move(delta)}, {"usage", std::move(usage)}};
    if (context_.form.edits_context) data["context_management"] = edits();
    emit("message_delta", data);
    emit("message_stop", {{"type", "message_stop"}});
  }

  const WriterContext context_;
  const std::string id_ = "msg_" + random_letters(kId_letters);
  std::string out_;
  BlockStream blocks_;
  AnswerBegin begin_;
  bool begun_ = false;
};

}  // namespace

http::Response problem(const http::RequestHead& head, unsigned status, const std::string& message) {
  json::object body = error_object(status, message);
  body["request_id"] = short_request_id(head);
  http::Response response = json_reply(status, body);
  if (status == 501) response.head.headers.add("x-should-retry", "false");
  return response;
}

http::Response failure(const http::RequestHead& head, const AnswerEnd& end, const std::string& model) {
  http::Response response = problem(head, status_of(end.error->kind), words_of(end, model));
  if (end.retry_after_s) response.head.headers.add("retry-after", fmt::format("{}", *end.retry_after_s));
  return response;
}

std::shared_ptr<AnswerWriter> make_writer(WriterContext context) {
  return std::make_shared<Writer>(std::move(context));
}

}  // namespace hearth::api::anthropic
