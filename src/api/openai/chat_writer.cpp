#include <boost/json.hpp>
#include <map>

#include "api/openai/encode.h"
#include "api/reply.h"
#include "base/random.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using Kind = chat::Delta::Kind;

constexpr const char* kObject = "chat.completion";
constexpr const char* kChunk = "chat.completion.chunk";
constexpr size_t kId_letters = 29;

json::value logprobs_of(const std::vector<TokenReport>& tokens, bool wanted) {
  if (!wanted) return nullptr;
  json::array list;
  for (const TokenReport& token : tokens)
    if (token.content) list.push_back(token_json(token));
  return json::object{{"content", std::move(list)}, {"refusal", nullptr}};
}

class ChatWriter : public Writer {
 public:
  ChatWriter(WriterContext context, bool logprobs)
      : Writer(std::move(context), "chatcmpl-" + random_letters(kId_letters), "messages", kObject, kChunk),
        logprobs_(logprobs) {}

  http::Response whole(const std::vector<WholeAnswer>& answers, const std::vector<std::string>& warnings) override {
    json::array choices;
    std::vector<AnswerEnd> ends;
    for (const WholeAnswer& answer : answers) {
      choices.push_back(choice_of(answer, choices.size()));
      ends.push_back(answer.end);
    }
    return reply(std::move(choices), ends, warnings);
  }

  std::string pieces(const AnswerEvent& event) override {
    Choice& choice = choices_[event.choice];
    index_ = event.choice;
    std::string out;
    if (event.deltas.empty() && event.tokens.empty() && !event.end) return out;
    if (event.end && event.end->error) return event_text(failure_body(*event.end, form().model, prompt()));
    if (!std::exchange(choice.begun, true)) add({{"role", "assistant"}, {"content", ""}}, &out);
    choice.tokens.insert(choice.tokens.end(), event.tokens.begin(), event.tokens.end());
    for (const chat::Delta& delta : event.deltas) piece(choice, delta, &out);
    if (event.end) end(choice, *event.end, &out);
    return out;
  }

  std::string close() override {
    std::vector<AnswerEnd> ends;
    for (auto& [index, choice] : choices_) ends.push_back(std::move(choice.end));
    return closing(ends);
  }

 private:
  struct Choice {
    bool begun = false;
    size_t complete_calls = 0;
    std::string custom = {};  // the arguments of a call of a custom tool, which come whole
    bool in_custom = false;
    std::vector<TokenReport> tokens = {};  // that wait for a piece of content to go with
    AnswerEnd end = {};
  };

  json::object call_json(const chat::ToolCall& call) const {
    json::object object{{"id", call.id}};
    if (form().custom_tools.contains(call.name)) {
      object["type"] = "custom";
      object["custom"] = json::object{{"name", call.name}, {"input", custom_input(call.arguments)}};
    } else {
      object["type"] = "function";
      object["function"] = json::object{{"name", call.name}, {"arguments", call.arguments}};
    }
    return object;
  }

  void add_reasoning(const std::string& text, json::object& to) const {
    if (text.empty() || !form().reasoning) return;
    to["reasoning_content"] = text;
    to["reasoning"] = text;
  }

  json::object choice_of(const WholeAnswer& answer, size_t index) const {
    size_t complete = 0;
    json::array calls;
    for (const chat::ToolCall& call : answer.message.calls) {
      complete += call.complete ? 1 : 0;
      calls.push_back(call_json(call));
    }
    std::string content = answer.message.content;
    if (form().shows_stop) content += answer.end.stop;
    json::object message{{"role", "assistant"}};
    message["content"] = content.empty() && !calls.empty() ? json::value(nullptr) : json::value(content);
    message["refusal"] = nullptr;
    add_reasoning(answer.message.reasoning, message);
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    message["annotations"] = json::array();
    json::object choice{{"index", index}, {"message", std::move(message)}};
    choice["logprobs"] = logprobs_of(answer.tokens, logprobs_);
    choice["finish_reason"] = finish_reason(answer.end, complete);
    if (!answer.end.stop.empty()) choice["stop_reason"] = answer.end.stop;
    return choice;
  }

  void add(json::object delta, std::string* out, json::value finish = nullptr, const std::string& stop = {},
           json::value logprobs = nullptr) {
    json::object choice{{"index", index_}, {"delta", std::move(delta)}};
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(finish);
    if (!stop.empty()) choice["stop_reason"] = stop;
    append_chunk(*out, {json::serialize(choice)});
  }

  // A delta with nothing but text, as it comes with each token. `members`: its names, each with the same text.
  void add_text(std::initializer_list<std::string_view> members, std::string_view text, std::string* out) {
    std::string delta;
    for (const std::string_view member : members) {
      delta += delta.empty() ? "\"" : ",\"";
      delta += member;
      delta += "\":";
      append_quoted(delta, text);
    }
    append_chunk(*out, {R"({"index":)", fmt::format_int(index_).str(), R"(,"delta":{)", delta,
                        R"(},"logprobs":null,"finish_reason":null})"});
  }

  void add_call(json::object call, std::string* out) { add({{"tool_calls", json::array{std::move(call)}}}, out); }

  void piece(Choice& choice, const chat::Delta& delta, std::string* out) {
    switch (delta.kind) {
      case Kind::kReasoning:
        if (!delta.text.empty() && form().reasoning) add_text({"reasoning_content", "reasoning"}, delta.text, out);
        return;
      case Kind::kContent:
        if (delta.text.empty()) return;
        if (!logprobs_) return add_text({"content"}, delta.text, out);
        return add({{"content", delta.text}}, out, nullptr, {},
                   logprobs_of(std::exchange(choice.tokens, {}), logprobs_));
      case Kind::kCallBegin:
        choice.in_custom = form().custom_tools.contains(delta.name);
        choice.custom.clear();
        if (choice.in_custom)
          return add_call({{"index", delta.index},
                           {"id", delta.id},
                           {"type", "custom"},
                           {"custom", json::object{{"name", delta.name}, {"input", ""}}}},
                          out);
        return add_call({{"index", delta.index},
                         {"id", delta.id},
                         {"type", "function"},
                         {"function", json::object{{"name", delta.name}, {"arguments", ""}}}},
                        out);
      case Kind::kArguments:
        if (choice.in_custom) {
          choice.custom += delta.text;
          return;
        }
        if (delta.text.empty()) return;
        return add_call({{"index", delta.index}, {"function", json::object{{"arguments", delta.text}}}}, out);
      case Kind::kCallEnd:
        choice.complete_calls += delta.complete ? 1 : 0;
        if (std::exchange(choice.in_custom, false))
          add_call({{"index", delta.index}, {"custom", json::object{{"input", custom_input(choice.custom)}}}}, out);
        return;
      case Kind::kProblem:
        return;
    }
  }

  void end(Choice& choice, const AnswerEnd& end, std::string* out) {
    if (form().shows_stop && !end.stop.empty()) add({{"content", end.stop}}, out);
    const bool left = std::ranges::any_of(choice.tokens, [](const TokenReport& token) { return token.content; });
    add(json::object(), out, finish_reason(end, choice.complete_calls), end.stop,
        left ? logprobs_of(choice.tokens, logprobs_) : json::value(nullptr));
    choice.end = end;
  }

  const bool logprobs_;
  uint32_t index_ = 0;
  std::map<uint32_t, Choice> choices_;
};

}  // namespace

std::string custom_input(const std::string& arguments) {
  boost::system::error_code fault;
  const json::value value = json::parse(arguments, fault);
  const json::value* input = !fault && value.is_object() ? value.get_object().if_contains("input") : nullptr;
  return input != nullptr && input->is_string() ? std::string(input->get_string()) : arguments;
}

std::shared_ptr<AnswerWriter> make_chat_writer(WriterContext context, bool logprobs) {
  return std::make_shared<ChatWriter>(std::move(context), logprobs);
}

}  // namespace hearth::api::openai
