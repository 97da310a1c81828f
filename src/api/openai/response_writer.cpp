#include "api/openai/response_writer.h"

#include <boost/json.hpp>

#include "api/event_writer.h"
#include "api/opaque.h"
#include "api/openai/encode.h"
#include "api/reply.h"
#include "base/random.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using Kind = chat::Delta::Kind;
using Reason = AnswerEnd::Reason;

constexpr size_t kId_letters = 48;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// The items of an answer, one after the other, as the events that tell of them.
class ItemStream {
 public:
  // `members`: of the event's JSON.
  using Emit = std::function<void(const char* type, std::string_view members)>;
  ItemStream(const ResponseForm& form, Emit emit) : form_(form), emit_(std::move(emit)) {}

  void add(const chat::Delta& delta) {
    switch (delta.kind) {
      case Kind::kReasoning:
        if (form_.reply.reasoning && !delta.text.empty()) reasoning(delta.text);
        return;
      case Kind::kContent:
        return text(delta.text);
      case Kind::kCallBegin:
        return begin_call(delta);
      case Kind::kArguments:
        text_ += delta.text;
        if (!is_custom() && !delta.text.empty())
          tell_delta("response.function_call_arguments.delta", delta.text, false);
        return;
      case Kind::kCallEnd:
        return close(delta.complete ? "completed" : "incomplete");
      case Kind::kProblem:
        return;
    }
  }
  void take(const std::vector<TokenReport>& tokens) {
    for (const TokenReport& token : tokens)
      if (token.content && form_.logprobs) logprobs_.push_back(token_json(token));
  }
  void end(bool whole) { close(whole ? "completed" : "incomplete"); }

  const json::array& items() const { return items_; }

 private:
  enum class State { kNone, kReasoning, kMessage, kCall };

  bool is_custom() const { return item_.contains("type") && item_.at("type") == "custom_tool_call"; }

  void open(State state, json::object item) {
    close("completed");
    state_ = state;
    held_.clear();
    text_.clear();
    item_ = std::move(item);
    emit_("response.output_item.added", members_of({{"output_index", items_.size()}, {"item", item_}}));
  }

  // An event about a part of the item.
  void tell(const char* type, const json::object& members, bool part, const char* index) {
    emit_(type, place(part, index) + "," + members_of(members));
  }
  void tell(const char* type, const json::object& members, bool part) { tell(type, members, part, "content_index"); }
  // One about more of its text, as it comes with each token; `more` are further members.
  void tell_delta(const char* type, std::string_view text, bool part, const char* index = "content_index",
                  std::string_view more = {}) {
    std::string members = place(part, index);
    members += R"(,"delta":)";
    append_quoted(members, text);
    members += more;
    emit_(type, members);
  }
  std::string place(bool part, const char* index) const {
    std::string members = R"("item_id":)";
    append_quoted(members, std::string_view(item_.at("id").as_string()));
    members += R"(,"output_index":)" + std::to_string(items_.size());
    if (part) members += fmt::format(R"(,"{}":0)", index);
    return members;
  }

  void reasoning(const std::string& more) {
    if (state_ != State::kReasoning) {
      open(State::kReasoning, {{"id", "rs_" + random_letters(kId_letters)},
                               {"type", "reasoning"},
                               {"summary", json::array()},
                               {"content", json::array()},
                               {"status", "in_progress"}});
      if (form_.summarises)
        tell("response.reasoning_summary_part.added", {{"part", part("summary_text", "")}}, true, "summary_index");
      else
        tell("response.content_part.added", {{"part", part("reasoning_text", "")}}, true);
    }
    text_ += more;
    if (form_.summarises)
      tell_delta("response.reasoning_summary_text.delta", more, true, "summary_index");
    else
      tell_delta("response.reasoning_text.delta", more, true);
  }

  void text(const std::string& more) {
    if (state_ != State::kMessage) {
      const std::string begun = held_ + more;
      if (is_blank(begun)) {
        held_ = begun;
        return;
      }
      open(State::kMessage, {{"id", "msg_" + random_letters(kId_letters)},
                             {"type", "message"},
                             {"status", "in_progress"},
                             {"role", "assistant"},
                             {"content", json::array()}});
      tell("response.content_part.added", {{"part", message_part("")}}, true);
      return add_text(begun);
    }
    if (!more.empty()) add_text(more);
  }
  void add_text(const std::string& more) {
    text_ += more;
    const json::array fresh(logprobs_.begin() + static_cast<ptrdiff_t>(told_logprobs_), logprobs_.end());
    told_logprobs_ = logprobs_.size();
    tell_delta("response.output_text.delta", more, true, "content_index", R"(,"logprobs":)" + json::serialize(fresh));
  }

  void begin_call(const chat::Delta& delta) {
    const bool custom = form_.reply.custom_tools.contains(delta.name);
    json::object item{{"id", (custom ? "ctc_" : "fc_") + random_letters(kId_letters)},
                      {"type", custom ? "custom_tool_call" : "function_call"},
                      {"status", "in_progress"},
                      {"call_id", delta.id}};
    const auto space = form_.reply.spaces.find(delta.name);
    item["name"] = space == form_.reply.spaces.end() ? delta.name : space->second.second;
    if (space != form_.reply.spaces.end()) item["namespace"] = space->second.first;
    item[custom ? "input" : "arguments"] = "";
    open(State::kCall, std::move(item));
  }

  static json::object part(const char* type, const std::string& text) { return {{"type", type}, {"text", text}}; }
  json::object message_part(const std::string& text) const {
    return {{"type", "output_text"},
            {"text", text},
            {"annotations", json::array()},
            {"logprobs", text.empty() ? json::array() : logprobs_}};
  }

  void close_reasoning() {
    const char* type = form_.summarises ? "summary_text" : "reasoning_text";
    if (form_.summarises) {
      tell("response.reasoning_summary_text.done", {{"text", text_}}, true, "summary_index");
      tell("response.reasoning_summary_part.done", {{"part", part(type, text_)}}, true, "summary_index");
    } else {
      tell("response.reasoning_text.done", {{"text", text_}}, true);
      tell("response.content_part.done", {{"part", part(type, text_)}}, true);
    }
    item_[form_.summarises ? "summary" : "content"] = json::array{part(type, text_)};
    if (form_.encrypts_reasoning) item_["encrypted_content"] = seal(text_, true);
  }

  void close_message() {
    const json::object whole = message_part(text_);
    tell("response.output_text.done", {{"text", text_}, {"logprobs", whole.at("logprobs")}}, true);
    tell("response.content_part.done", {{"part", whole}}, true);
    item_["content"] = json::array{whole};
  }

  void close_call() {
    if (is_custom()) {
      const std::string input = custom_input(text_);
      tell("response.custom_tool_call_input.delta", {{"delta", input}}, false);
      tell("response.custom_tool_call_input.done", {{"input", input}}, false);
      item_["input"] = input;
    } else {
      if (text_.empty()) text_ = "{}";
      tell("response.function_call_arguments.done", {{"name", item_.at("name")}, {"arguments", text_}}, false);
      item_["arguments"] = text_;
    }
  }

  void close(const char* status) {
    const State state = std::exchange(state_, State::kNone);
    if (state == State::kNone) return;
    if (state == State::kReasoning) close_reasoning();
    if (state == State::kMessage) close_message();
    if (state == State::kCall) close_call();
    item_["status"] = status;
    emit_("response.output_item.done", members_of({{"output_index", items_.size()}, {"item", item_}}));
    items_.push_back(item_);
    item_.clear();
  }

  const ResponseForm& form_;
  const Emit emit_;
  State state_ = State::kNone;
  json::object item_;
  std::string text_, held_;  // of the item; white space that is text only if more text follows
  json::array logprobs_;
  size_t told_logprobs_ = 0;
  json::array items_;
};

json::object response_usage(const Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", json::object{{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}}},
          {"output_tokens", usage.generated_tokens},
          {"output_tokens_details", json::object{{"reasoning_tokens", usage.reasoning_tokens}}},
          {"total_tokens", usage.prompt_tokens + usage.generated_tokens}};
}

class ResponseWriter : public EventWriter {
 public:
  explicit ResponseWriter(ResponseContext context)
      : EventWriter(context.form.warnings),
        context_(std::move(context)),
        items_(context_.form, [this](const char* type, std::string_view members) { emit(type, members); }) {}

  http::Response failure(const AnswerEnd& end) override {
    return told(openai::failure(end, context_.form.reply.model, "input"));
  }

  http::Response whole(const std::vector<WholeAnswer>& answers, const std::vector<std::string>& warnings) override {
    const WholeAnswer& answer = answers.front();
    items_.take(answer.tokens);
    for (const chat::Delta& delta : answer.deltas) items_.add(delta);
    return told(json_reply(200, finish(answer.end)), warnings);
  }

  http::Ping ping() override { return {": ping\n", context_.ping_interval}; }

  std::string begin() override {
    streams_ = true;
    emit("response.created", members_of({{"response", object("in_progress")}}));
    emit("response.in_progress", members_of({{"response", object("in_progress")}}));
    return std::exchange(out_, {});
  }

  std::string pieces(const AnswerEvent& event) override {
    items_.take(event.tokens);
    for (const chat::Delta& delta : event.deltas) items_.add(delta);
    if (event.end) end(*event.end);
    return std::exchange(out_, {});
  }

 private:
  void end(const AnswerEnd& end) {
    if (end.error) {
      json::object failed = object("failed");
      failed["error"] = json::object{{"code", "server_error"}, {"message", end.error->message}};
      return emit("response.failed", members_of({{"response", std::move(failed)}}));
    }
    emit(is_cut(end) ? "response.incomplete" : "response.completed", members_of({{"response", finish(end)}}));
  }

  static bool is_cut(const AnswerEnd& end) {
    return end.reason == Reason::kLength || end.reason == Reason::kContextFull;
  }
  void emit(const char* type, std::string_view members) {
    if (!streams_) return;
    append_event(
        out_, type,
        {R"({"type":")", type, R"(","sequence_number":)", fmt::format_int(sequence_++).str(), ",", members, "}"});
  }

  json::object object(const char* status) const {
    json::object response{
        {"id", id_},        {"object", "response"}, {"created_at", created_},        {"completed_at", nullptr},
        {"status", status}, {"error", nullptr},     {"incomplete_details", nullptr}, {"output", items_.items()},
        {"usage", nullptr}};
    for (const auto& [key, value] : context_.form.echo) response[key] = value;
    return response;
  }

  // The response at its end, which is kept.
  json::object finish(const AnswerEnd& end) {
    items_.end(!is_cut(end));
    json::object response = object(is_cut(end) ? "incomplete" : "completed");
    response["usage"] = response_usage(end.usage);
    if (is_cut(end))
      response["incomplete_details"] = json::object{{"reason", "max_output_tokens"}};
    else
      response["completed_at"] = unix_now();
    if (context_.store) {
      StoredResponse stored{
          .response = response, .context = context_.form.context, .input_from = context_.form.input_from, .output = {}};
      for (const json::value& item : items_.items()) stored.output.push_back(std::make_shared<const json::value>(item));
      context_.store->put(id_, context_.owner, std::move(stored));
    }
    return response;
  }

  const ResponseContext context_;
  const std::string id_ = "resp_" + random_letters(kId_letters);
  const int64_t created_ = unix_now();
  int64_t sequence_ = 0;
  bool streams_ = false;
  std::string out_;
  ItemStream items_;
};

}  // namespace

std::shared_ptr<AnswerWriter> make_response_writer(ResponseContext context) {
  return std::make_shared<ResponseWriter>(std::move(context));
}

}  // namespace hearth::api::openai
