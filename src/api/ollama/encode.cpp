#include "api/ollama/encode.h"

#include <boost/json.hpp>

#include "api/reply.h"
#include "base/error.h"

namespace hearth::api::ollama {
namespace {

namespace json = boost::json;
using Kind = chat::Delta::Kind;

json::array logprobs(const std::vector<TokenReport>& tokens) {
  json::array list;
  for (const TokenReport& token : tokens) {
    json::object object = token_json(token);
    if (token.most_likely.empty()) object.erase("top_logprobs");
    list.push_back(std::move(object));
  }
  return list;
}

void add_timings(const Usage& usage, json::object& object) {
  const auto add = [&](const char* name, int64_t value) {
    if (value != 0) object[name] = value;
  };
  add("total_duration", usage.total.count());
  add("load_duration", usage.load.count());
  add("prompt_eval_count", usage.prompt_tokens);
  add("prompt_eval_cached_count", usage.cached_tokens);
  add("prompt_eval_duration", usage.prompt.count());
  // Clients take the usage from the last object, whose count must be there.
  object["eval_count"] = usage.generated_tokens;
  add("eval_duration", usage.generation.count());
}

json::value arguments_of(const chat::ToolCall& call) {
  boost::system::error_code code;
  json::value value = json::parse(call.arguments, code);
  return !code && value.is_object() ? value : json::value(json::object());
}

class Writer : public AnswerWriter {
 public:
  explicit Writer(Form form, std::string model, std::vector<std::string> warnings = {})
      : form_(form), model_(std::move(model)), warnings_(std::move(warnings)) {
    line_begin_ = R"({"model":)" + quoted(model_) + R"(,"created_at":")";
    content_begin_ = form_ == Form::kChat ? R"(","message":{"role":"assistant","content":)" : R"(","response":)";
  }

  http::Response failure(const AnswerEnd& end) override {
    http::Response response = ollama::failure(*end.error, model_);
    if (end.retry_after_s) response.head.headers.add("Retry-After", fmt::format("{}", *end.retry_after_s));
    return response;
  }

  http::ResponseHead head(const std::vector<std::string>& warnings) override {
    http::ResponseHead head{.status = 200, .headers = {{"Content-Type", "application/x-ndjson"}}};
    tell_all(warnings, head);
    return head;
  }

  std::string pieces(const AnswerEvent& event) override {
    std::string out;
    const std::vector<TokenReport>* tokens = &event.tokens;
    for (const chat::Delta& delta : event.deltas) piece(delta, &tokens, &out);
    if (tokens != nullptr && !tokens->empty()) line({}, {}, {}, *tokens, &out);
    if (event.end) end(*event.end, &out);
    return out;
  }

  http::Response whole(const std::vector<WholeAnswer>& answers, const std::vector<std::string>& warnings) override {
    const WholeAnswer& answer = answers.front();
    json::array calls;
    for (const chat::ToolCall& call : answer.message.calls) {
      if (call.complete) calls.push_back(call_object(call, calls.size()));
    }
    json::object object = answer_object(answer.message.content, answer.message.reasoning, std::move(calls));
    if (!answer.tokens.empty()) object["logprobs"] = logprobs(answer.tokens);
    finish(answer.end, object);
    http::Response response = json_response(json::serialize(object));
    tell_all(warnings, response.head);
    return response;
  }

  json::object answer_object(std::string_view content, std::string_view reasoning, json::array calls) const {
    json::object object;
    object["model"] = model_;
    object["created_at"] = timestamp(std::chrono::system_clock::now());
    json::object message;
    if (form_ == Form::kChat) message["role"] = "assistant";
    json::object& target = form_ == Form::kChat ? message : object;
    target[form_ == Form::kChat ? "content" : "response"] = json::string_view(content.data(), content.size());
    if (!reasoning.empty()) target["thinking"] = json::string_view(reasoning.data(), reasoning.size());
    if (!calls.empty()) target["tool_calls"] = std::move(calls);
    if (form_ == Form::kChat) object["message"] = std::move(message);
    object["done"] = false;
    return object;
  }

 private:
  void tell_all(const std::vector<std::string>& warnings, http::ResponseHead& head) const {
    std::vector<std::string> all = warnings_;
    all.insert(all.end(), warnings.begin(), warnings.end());
    tell(all, head);
  }

  static json::object call_object(const chat::ToolCall& call, size_t index) {
    json::object function;
    function["index"] = index;
    function["name"] = call.name;
    function["arguments"] = arguments_of(call);
    json::object object;
    if (!call.id.empty()) object["id"] = call.id;
    object["function"] = std::move(function);
    return object;
  }

  void line(std::string_view content, std::string_view reasoning, json::array calls,
            const std::vector<TokenReport>& tokens, std::string* out) const {
    if (calls.empty() && tokens.empty()) return text_line(content, reasoning, out);
    json::object object = answer_object(content, reasoning, std::move(calls));
    if (!tokens.empty()) object["logprobs"] = logprobs(tokens);
    *out += json::serialize(object) + "\n";
  }

  // The same with nothing but text, as it comes with each token.
  void text_line(std::string_view content, std::string_view reasoning, std::string* out) const {
    *out += line_begin_;
    *out += timestamp(std::chrono::system_clock::now());
    *out += content_begin_;
    append_quoted(*out, content);
    if (!reasoning.empty()) {
      *out += R"(,"thinking":)";
      append_quoted(*out, reasoning);
    }
    *out += form_ == Form::kChat ? "},\"done\":false}\n" : ",\"done\":false}\n";
  }

  // Calls arrive whole. The reports on tokens go with the first line of an event.
  void piece(const chat::Delta& delta, const std::vector<TokenReport>** tokens, std::string* out) {
    static const std::vector<TokenReport> none;
    const auto reports = [&]() -> const std::vector<TokenReport>& {
      const auto* list = std::exchange(*tokens, nullptr);
      return list == nullptr ? none : *list;
    };
    switch (delta.kind) {
      case Kind::kContent:
        return line(delta.text, {}, {}, reports(), out);
      case Kind::kReasoning:
        return line({}, delta.text, {}, reports(), out);
      case Kind::kCallBegin:
        call_ = {.id = delta.id, .name = delta.name, .arguments = {}};
        return;
      case Kind::kArguments:
        call_.arguments += delta.text;
        return;
      case Kind::kCallEnd:
        if (delta.complete) line({}, {}, {call_object(call_, calls_++)}, reports(), out);
        return;
      case Kind::kProblem:
        return;
    }
  }

  void end(const AnswerEnd& end, std::string* out) const {
    if (end.error) {
      *out += json::serialize(json::object{{"error", end.error->message}}) + "\n";
      return;
    }
    json::object object = answer_object({}, {}, {});
    finish(end, object);
    *out += json::serialize(object) + "\n";
  }

  void finish(const AnswerEnd& end, json::object& object) const {
    object["done"] = true;
    object["done_reason"] = end.reason == AnswerEnd::Reason::kStop ? "stop" : "length";
    if (form_ == Form::kGenerate && !end.context.empty()) {
      object["context"] = json::array(end.context.begin(), end.context.end());
    }
    add_timings(end.usage, object);
  }

  const Form form_;
  const std::string model_;
  const std::vector<std::string> warnings_;
  std::string line_begin_, content_begin_;  // of a line: up to its time, and from there to the text
  chat::ToolCall call_;
  size_t calls_ = 0;
};

// Year 2318, as Ollama says "for ever"; clients read years of four digits.
constexpr int64_t kNever = 10'998'547'200;

json::object summary(const ModelSummary& model) {
  return {{"name", model.name},
          {"model", model.name},
          {"size", model.bytes},
          {"digest", model.digest},
          {"details", details_json(model)}};
}

}  // namespace

unsigned status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kTooLong:
      return 400;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kUnsupported:
      return 400;
    case ErrorKind::kCancelled:
      return 499;
    case ErrorKind::kBusy:
    case ErrorKind::kNoDevice:
    case ErrorKind::kDeviceLost:
      return 503;
    case ErrorKind::kTimeout:
      return 504;
    case ErrorKind::kNoSpace:
      return 507;
    default:
      return 500;
  }
}

json::object details_json(const ModelSummary& model) {
  json::object details{{"parent_model", ""},
                       {"format", "gguf"},
                       {"family", model.architecture},
                       {"families", json::array{model.architecture}},
                       {"parameter_size", model.parameter_size},
                       {"quantization_level", model.quantization}};
  if (model.context > 0) details["context_length"] = model.context;
  if (model.width > 0) details["embedding_length"] = model.width;
  return details;
}

http::Response json_response(const std::string& body) {
  return {{.status = 200, .headers = {{"Content-Type", kJson_type}}}, body};
}

http::Response problem(unsigned status, const std::string& message) {
  http::Response response = json_response(json::serialize(json::object{{"error", message}}));
  response.head.status = status;
  return response;
}

http::Response failure(const Error& error, const std::string& model) {
  const unsigned status = status_of(error.kind);
  if (error.kind == ErrorKind::kNotFound) return problem(status, fmt::format("model '{}' not found", model));
  if (error.kind == ErrorKind::kCancelled) return problem(status, "request canceled");
  if (error.kind == ErrorKind::kBusy) {
    return problem(status, "server busy, please try again.  maximum pending requests exceeded");
  }
  return problem(status, error.message);
}

std::string timestamp(std::chrono::system_clock::time_point time) {
  const int64_t nanoseconds = std::chrono::duration_cast<Nanoseconds>(time.time_since_epoch()).count();
  return rfc3339(nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000);
}

std::shared_ptr<AnswerWriter> make_writer(Form form, std::string model, std::vector<std::string> warnings) {
  return std::make_shared<Writer>(form, std::move(model), std::move(warnings));
}

std::string load_reply(Form form, const std::string& model, std::string_view reason) {
  json::object object = Writer(form, model).answer_object({}, {}, {});
  object["done"] = true;
  object["done_reason"] = json::string_view(reason.data(), reason.size());
  return json::serialize(object);
}

std::string tags(const std::vector<ModelSummary>& models) {
  json::array list;
  for (const ModelSummary& model : models) {
    json::object object = summary(model);
    object["modified_at"] = rfc3339(model.modified);
    if (!model.capabilities.empty()) {
      object["capabilities"] = json::array(model.capabilities.begin(), model.capabilities.end());
    }
    list.push_back(std::move(object));
  }
  return json::serialize(json::object{{"models", std::move(list)}});
}

std::string running(const std::vector<RunningModel>& models, const std::vector<LeasedMemory>& leases) {
  json::array list;
  for (const RunningModel& model : models) {
    json::object object = summary(model.summary);
    object["size"] = model.bytes;
    object["size_vram"] = model.gpu_bytes;
    object["context_length"] = model.context;
    object["expires_at"] = rfc3339(model.expires.value_or(kNever));
    object["placement"] = model.placement;
    if (!model.cause.empty()) object["cause"] = model.cause;
    if (!model.cause_id.empty()) object["cause_id"] = model.cause_id;
    if (!model.remedy.empty()) object["remedy"] = model.remedy;
    list.push_back(std::move(object));
  }
  json::object reply{{"models", std::move(list)}};
  json::array promised;
  for (const LeasedMemory& lease : leases)
    promised.push_back(json::object{
        {"gpu", lease.gpu}, {"holder", lease.holder}, {"bytes", lease.bytes}, {"until", timestamp(lease.until)}});
  if (!promised.empty()) reply["leases"] = std::move(promised);
  return json::serialize(reply);
}

}  // namespace hearth::api::ollama
