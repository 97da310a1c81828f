// Anthropic's dialect: what clients send and what they get, against a service that answers as the test says. Names in
// brackets are those of the traps that the project's list of peers' faults has.
#include <gtest/gtest.h>

#include "api/anthropic/routes.h"
#include "api/opaque.h"
#include "dialect.h"
#include "chat/picture_marks.h"

namespace hearth::api::anthropic {
namespace {

namespace json = boost::json;
using test::ask;
using test::FakeExchange;
using test::Kind;
using test::stream_events;
using test::StreamEvent;

class AnthropicApi : public test::DialectTest {
 protected:
  AnthropicApi() {
    add_routes(router_, service_);
    service_->render = [this](const AnswerRequest& request) -> Result<PromptView> {
      request_ = request;
      return PromptView{"prompt", {1, 2, 3}};
    };
  }

  std::shared_ptr<FakeExchange> say(const std::string& more = {}) {
    return send(R"("messages":[{"role":"user","content":"hi"}])" + more);
  }
  std::shared_ptr<FakeExchange> send(const std::string& members) {
    return ask(router_, "POST", "/v1/messages", R"({"model":"m","max_tokens":100,)" + members + "}");
  }
  // The conversation that a request with these messages is.
  std::vector<chat::Message> read(const std::string& messages) {
    const auto exchange = send("\"messages\":" + messages);
    EXPECT_EQ(exchange->head.status, 200u) << exchange->body;
    return chat_input().messages;
  }
  static std::string warnings(const FakeExchange& exchange) {
    return std::string(exchange.head.headers.get("x-hearth-warnings"));
  }
  static AnswerEvent reasoning(const std::string& text) { return {.deltas = {{.kind = Kind::kReasoning, .text = text}}}; }
};

constexpr const char* kThink = R"(,"thinking":{"type":"enabled","budget_tokens":2000})";
constexpr const char* kTools =
    R"(,"tools":[{"name":"get_weather","input_schema":{"type":"object"}},{"name":"now","input_schema":{"type":"object"}}])";

std::vector<std::string> types(const std::vector<StreamEvent>& events) {
  std::vector<std::string> list;
  for (const StreamEvent& event : events) {
    EXPECT_EQ(event.data.at("type"), json::string_view(event.type)) << "SDKs go by the event's name";
    list.push_back(event.type);
  }
  return list;
}

// What SDKs make of a stream; fails where a delta does not fit its block (A5).
json::array accumulate(const std::vector<StreamEvent>& events) {
  json::array blocks;
  std::string input;
  bool open = false;
  for (const StreamEvent& event : events) {
    if (event.type == "content_block_start") {
      EXPECT_FALSE(open);
      open = true;
      EXPECT_EQ(event.data.at("index").to_number<size_t>(), blocks.size()) << "A5: indices are contiguous";
      blocks.push_back(event.data.at("content_block"));
      input.clear();
    } else if (event.type == "content_block_delta") {
      EXPECT_EQ(event.data.at("index").to_number<size_t>(), blocks.size() - 1);
      const json::object& delta = event.data.at("delta").as_object();
      const json::string& kind = delta.at("type").as_string();
      const json::string& block = blocks.back().at("type").as_string();
      const auto add = [&](const char* member) {
        json::string& text = blocks.back().as_object().at(member).as_string();
        text.append(delta.at(member).as_string());
      };
      if (kind == "text_delta") add("text");
      if (kind == "thinking_delta") add("thinking");
      if (kind == "signature_delta") {
        EXPECT_EQ(blocks.back().at("signature"), "") << "A4: one signature";
        add("signature");
      }
      if (kind == "input_json_delta") input += std::string_view(delta.at("partial_json").as_string());
      EXPECT_TRUE(kind == "text_delta" ? block == "text" : kind == "input_json_delta" ? block == "tool_use" : block == "thinking");
    } else if (event.type == "content_block_stop") {
      EXPECT_TRUE(open);
      open = false;
      if (blocks.back().at("type") == "tool_use") blocks.back().as_object()["input"] = json::parse(input);
      if (blocks.back().at("type") == "text") blocks.back().as_object()["citations"] = nullptr;
    }
  }
  EXPECT_FALSE(open);
  return blocks;
}

TEST_F(AnthropicApi, AnswersWithEveryMemberThatClientsRead) {
  const json::object reply = say(kThink)->object();
  EXPECT_TRUE(reply.at("id").as_string().starts_with("msg_"));
  EXPECT_EQ(reply.at("id").as_string().size(), 4u + 24);
  EXPECT_EQ(reply.at("type"), "message");
  EXPECT_EQ(reply.at("role"), "assistant");
  EXPECT_EQ(reply.at("model"), "m");
  const json::array& content = reply.at("content").as_array();
  ASSERT_EQ(content.size(), 2u);
  EXPECT_EQ(content[0].at("thinking"), "hm");
  EXPECT_FALSE(content[0].at("signature").as_string().empty());
  EXPECT_EQ(content[1], (json::object{{"type", "text"}, {"text", "Hello"}, {"citations", nullptr}}));
  EXPECT_EQ(reply.at("stop_reason"), "end_turn");
  EXPECT_TRUE(reply.at("stop_sequence").is_null()) << "A22";
  EXPECT_TRUE(reply.at("container").is_null());
  EXPECT_FALSE(reply.contains("context_management"));
  EXPECT_EQ(reply.at("usage"), json::parse(R"({"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":8,
    "output_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},
    "output_tokens_details":{"thinking_tokens":1},"server_tool_use":null,"service_tier":"standard"})"))
      << "A7, A11: what was cached is not part of input_tokens";
  events_ = {accepted(), end()};
  EXPECT_EQ(say()->object().at("content"), json::array()) << "A22";
}

TEST_F(AnthropicApi, StreamsItsEventsInOrder) {
  events_.insert(events_.begin() + 1, AnswerEvent{.begin = AnswerBegin{12, 8}});
  const auto exchange = say(std::string(kThink) + R"(,"stream":true)");
  EXPECT_EQ(exchange->head.headers.get("Content-Type"), "text/event-stream");
  const auto events = stream_events(exchange->body);
  EXPECT_EQ(types(events),
            (std::vector<std::string>{"message_start", "ping", "content_block_start", "content_block_delta",
                                      "content_block_delta", "content_block_stop", "content_block_start",
                                      "content_block_delta", "content_block_delta", "content_block_stop",
                                      "message_delta", "message_stop"}));
  const json::object& start = events[0].data.at("message").as_object();
  EXPECT_EQ(start.at("content"), json::array());
  EXPECT_TRUE(start.at("stop_reason").is_null());
  EXPECT_EQ(start.at("usage").at("input_tokens"), 4);
  EXPECT_EQ(start.at("usage").at("cache_read_input_tokens"), 8);
  EXPECT_EQ(start.at("usage").at("output_tokens"), 0);
  EXPECT_EQ(events[2].data, json::parse(R"({"type":"content_block_start","index":0,
    "content_block":{"type":"thinking","thinking":"","signature":""}})"));
  EXPECT_EQ(events[4].data.at("delta").at("type"), "signature_delta");
  EXPECT_EQ(events[6].data.at("content_block"), (json::object{{"type", "text"}, {"text", ""}}));
  EXPECT_EQ(events[10].data.at("delta"), json::parse(R"({"stop_reason":"end_turn","stop_sequence":null,"stop_details":null})"));
  EXPECT_EQ(events[10].data.at("usage"), json::parse(R"({"input_tokens":4,"cache_creation_input_tokens":0,
    "cache_read_input_tokens":8,"output_tokens":3,"output_tokens_details":{"thinking_tokens":1}})"));
  EXPECT_EQ(events[11].data, json::parse(R"({"type":"message_stop"})"));

  events_ = {accepted(), end()};
  EXPECT_EQ(types(stream_events(say(R"(,"stream":true)")->body)),
            (std::vector<std::string>{"message_start", "ping", "message_delta", "message_stop"}));
}

TEST_F(AnthropicApi, EveryOrderOfPartsIsTheSameStreamedAndNot) {  // A4, A5, A6
  const auto call = [&](size_t index, const std::string& arguments) {
    AnswerEvent event;
    event.deltas = {{.kind = Kind::kCallBegin, .index = index, .id = fmt::format("call_{}", index), .name = "now"}};
    for (const char letter : arguments)
      event.deltas.push_back({.kind = Kind::kArguments, .text = std::string(1, letter), .index = index});
    event.deltas.push_back({.kind = Kind::kCallEnd, .index = index});
    return event;
  };
  // All orders of three parts, of which each is text, thinking, a call, or a call without arguments.
  for (int order = 0; order < 64; ++order) {
    events_ = {accepted()};
    size_t index = 0;
    for (const int part : {order % 4, order / 4 % 4, order / 16}) {
      if (part == 0) events_.push_back(text("some text"));
      if (part == 1) events_.push_back(reasoning("a thought"));
      if (part == 2) events_.push_back(call(index++, R"({"a":1})"));
      if (part == 3) events_.push_back(call(index++, ""));
    }
    events_.push_back(end());
    const json::object whole = say(std::string(kThink) + kTools)->object();
    const auto events = stream_events(say(std::string(kThink) + kTools + R"(,"stream":true)")->body);
    EXPECT_EQ(accumulate(events), whole.at("content")) << order;
    EXPECT_EQ(whole.at("stop_reason"), index > 0 ? "tool_use" : "end_turn") << order;
  }
  events_ = {accepted(), text("\n\n"), call(0, "")};
  events_.push_back(end());
  const json::object only_call = say(kTools)->object();
  ASSERT_EQ(only_call.at("content").as_array().size(), 1u) << "white space before a call is no text";
  EXPECT_EQ(only_call.at("content").at(0).at("input"), json::object());
  EXPECT_TRUE(only_call.at("content").at(0).at("id").as_string().starts_with("toolu_"));
}

TEST_F(AnthropicApi, StopReasonsTellTheTruth) {  // A10, A20
  const auto reason = [&](const std::string& more = {}) { return say(more)->object().at("stop_reason"); };
  events_ = calls();
  EXPECT_EQ(reason(kTools), "tool_use");
  events_ = {accepted(), text("x"), end({}, AnswerEnd::Reason::kLength)};
  EXPECT_EQ(reason(), "max_tokens");
  events_ = {accepted(), text("x"), end({}, AnswerEnd::Reason::kContextFull)};
  EXPECT_EQ(reason(), "model_context_window_exceeded");
  events_ = {accepted(), text("x"), end()};
  events_.back().end->stop = "###";
  const json::object stopped = say(R"(,"stop_sequences":["###"])")->object();
  EXPECT_EQ(stopped.at("stop_reason"), "stop_sequence");
  EXPECT_EQ(stopped.at("stop_sequence"), "###");
  const auto events = stream_events(say(R"(,"stop_sequences":["###"],"stream":true)")->body);
  EXPECT_EQ(events[events.size() - 2].data.at("delta").at("stop_sequence"), "###");

  events_ = {accepted(),
             {.deltas = {{.kind = Kind::kCallBegin, .id = "call_1", .name = "now"},
                         {.kind = Kind::kArguments, .text = R"({"ci)"},
                         {.kind = Kind::kCallEnd, .complete = false}}},
             end({}, AnswerEnd::Reason::kLength)};
  const json::object cut = say(kTools)->object();
  EXPECT_EQ(cut.at("content"), json::array()) << "half a call is none";
  EXPECT_EQ(cut.at("stop_reason"), "max_tokens");
  const auto types_of_cut = types(stream_events(say(std::string(kTools) + R"(,"stream":true)")->body));
  EXPECT_EQ(std::ranges::count(types_of_cut, "content_block_stop"), 1);
}

TEST_F(AnthropicApi, ThinkingIsShownOnlyIfItWasAskedFor) {  // A14
  for (const char* stream : {"", R"(,"stream":true)"}) {
    const auto shows = [&](const std::string& more) { return say(more + stream)->body.find("\"hm") != std::string::npos; };
    EXPECT_FALSE(shows(""));
    EXPECT_EQ(request_.thinking.on, false);
    EXPECT_FALSE(shows(R"(,"thinking":{"type":"disabled"})"));
    EXPECT_TRUE(shows(kThink));
    EXPECT_EQ(request_.thinking.on, true);
    EXPECT_EQ(request_.thinking.most_tokens, 99u) << "below max_tokens";
    EXPECT_TRUE(shows(R"(,"thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"})"));
    EXPECT_EQ(request_.thinking.level, "xhigh");
    EXPECT_FALSE(request_.thinking.required) << "a model that cannot is asked all the same";
    EXPECT_FALSE(shows(R"(,"output_config":{"effort":"low"})"));
  }
  const json::object omitted = say(R"(,"thinking":{"type":"adaptive","display":"omitted"})")->object();
  EXPECT_EQ(omitted.at("content").at(0).at("thinking"), "");
  const std::string signature(omitted.at("content").at(0).at("signature").as_string());
  EXPECT_EQ(unseal(signature), "hm");
  // What comes back is what the model thought.
  const auto messages = read(fmt::format(R"([{{"role":"user","content":"a"}},{{"role":"assistant","content":[
      {{"type":"thinking","thinking":"","signature":"{}"}},{{"type":"text","text":"b"}}]}},{{"role":"user","content":"c"}}])",
                                         signature));
  EXPECT_EQ(messages.at(1).reasoning, "hm");
  EXPECT_EQ(warnings(*say(R"(,"thinking":{"type":"enabled","budget_tokens":5})")), "thinking.budget_tokens=99 counts");
}

TEST_F(AnthropicApi, ErrorsHaveTheirShapeAndPath) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"max_tokens":5,"messages":[{"role":"user","content":"a"}]})", "model: Field required"},
      {R"({"model":"m","messages":[{"role":"user","content":"a"}]})", "max_tokens: Field required"},
      {R"({"model":"m","max_tokens":5})", "messages: Field required"},
      {R"({"model":"m","max_tokens":5,"messages":[]})", "messages: at least one message is required"},
      {R"({"model":"m","max_tokens":"5","messages":[]})", "max_tokens: must be an integer, not string"},
      {R"({"model":"m","max_tokens":5,"messages":[{"role":"user"}]})", "messages.0.content: Field required"},
      {R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text"}]}]})",
       "messages.0.content.0.text: Field required"},
      {R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]})",
       "messages.0.content.0.source.type: pictures come in base64 or by url here; files are not stored"},
      {R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}],"mcp_servers":[{}]})",
       "mcp_servers: this server calls no tools by itself"},
      {R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}],"tool_choice":{"type":"any"}})",
       "tool_choice: tools are required for this choice"}};
  for (const auto& [body, message] : cases) {
    const auto exchange = ask(router_, "POST", "/v1/messages", body);
    EXPECT_EQ(exchange->head.status, 400u) << body;
    EXPECT_EQ(exchange->object(), (json::object{{"type", "error"},
                                                {"error", json::object{{"type", "invalid_request_error"}, {"message", message}}},
                                                {"request_id", "req_" + std::string(24, 'a')}}));
  }
  struct Case {
    ErrorKind kind;
    unsigned status;
    const char* type;
  };
  for (const Case& each : {Case{ErrorKind::kNotFound, 404, "not_found_error"}, {ErrorKind::kBusy, 529, "overloaded_error"},
                           {ErrorKind::kIo, 500, "api_error"}, {ErrorKind::kTimeout, 504, "timeout_error"},
                           {ErrorKind::kNoMemory, 529, "overloaded_error"}}) {
    events_ = {failed(each.kind, "why")};
    events_[0].end->retry_after_s = 3;
    for (const char* stream : {"", R"(,"stream":true)"}) {
      const auto exchange = say(stream);
      EXPECT_EQ(exchange->head.status, each.status);
      EXPECT_EQ(exchange->object().at("error").at("type"), each.type);
      EXPECT_EQ(exchange->head.headers.get("retry-after"), "3");
    }
  }
  events_ = {failed(ErrorKind::kTooLong, "")};  // A16, A27
  events_[0].end->usage.prompt_tokens = 5000;
  events_[0].end->context_tokens = 4096;
  EXPECT_EQ(say()->object().at("error").at("message"), "prompt is too long: 5000 tokens > 4096 maximum");
  service_->list = [] { return std::vector<ModelSummary>{{.name = "demo:latest"}}; };
  events_ = {failed(ErrorKind::kNotFound, "")};  // A12
  EXPECT_EQ(say()->object().at("error").at("message"), "model: m (the models here: demo:latest)");

  events_ = {accepted(), text("a"), failed(ErrorKind::kIo, "broke")};  // A19
  const auto late = stream_events(say(R"(,"stream":true)")->body);
  EXPECT_EQ(late.back().type, "error");
  EXPECT_EQ(late.back().data.at("error").at("type"), "api_error");
  EXPECT_EQ(say()->head.status, 500u);
}

TEST_F(AnthropicApi, EveryParameterArrives) {
  const auto exchange = say(R"(,"temperature":0.5,"top_p":0.25,"top_k":3,"stop_sequences":["a","b",""],
    "metadata":{"user_id":"ann"},"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}},"task_budget":1},
    "service_tier":"auto","cache_control":{"type":"ephemeral"},"speed":"fast","foo":1,"container":null)");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  const sampling::Options options = this->options();
  EXPECT_EQ(options.temperature, 0.5f);
  EXPECT_EQ(options.top_p, 0.25f);
  EXPECT_EQ(options.top_k, 3);
  EXPECT_EQ(options.num_predict, 100);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request_.caller.user, "user/ann");
  EXPECT_EQ(request_.format.text, R"({"type":"object"})");
  const std::string told = warnings(*exchange);
  for (const char* name : {"stop_sequences=", "output_config.task_budget=", "speed=", "foo="})
    EXPECT_NE(told.find(name), std::string::npos) << told;
  for (const char* name : {"cache_control", "service_tier", "container"}) EXPECT_EQ(told.find(name), std::string::npos) << told;
  say();
  EXPECT_TRUE(std::ranges::none_of(request_.settings.values, [](const auto& v) { return v.first == "temperature"; }))
      << "the model's own";
  const json::object edited = say(R"(,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]})")->object();
  EXPECT_EQ(edited.at("context_management"), (json::object{{"applied_edits", json::array()}}));
  EXPECT_EQ(ask(router_, "POST", "/v1/messages", R"({"model":"m[1m]","max_tokens":0,"messages":[{"role":"user","content":"a"}]})")
                ->object().at("model"), "m[1m]");
  EXPECT_EQ(request_.model, "m");
}

TEST_F(AnthropicApi, ThreadsAreRefusedSoThatClientsSendAll) {
  const auto exchange = say(R"(,"thread":"t_1")");
  EXPECT_EQ(exchange->head.status, 400u);
  EXPECT_EQ(exchange->object().at("error").at("details"),
            json::parse(R"({"error_code":"thread_unsupported_request","unsupported":["thread"]})"));
}

TEST_F(AnthropicApi, SystemTextsStayInPlace) {  // A1, A2, A3
  auto exchange = send(R"("system":[{"type":"text","text":"x-anthropic-billing-header: cc; cch=1;"},
    {"type":"text","text":"One.","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Two."}],
    "messages":[{"role":"system","content":"Three."},{"role":"user","content":"a"},{"role":"assistant","content":"b"},
    {"role":"system","content":"later"},{"role":"ctx","content":"c"}])");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  const auto& messages = chat_input().messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0].content, "One.\n\nTwo.\n\nThree.");
  EXPECT_EQ(messages[3].role, "system");
  EXPECT_EQ(messages[3].content, "later");
  EXPECT_EQ(messages[4].role, "user");
  EXPECT_NE(warnings(*exchange).find("messages.4.role="), std::string::npos);
}

TEST_F(AnthropicApi, TheSameTextsAreTheSamePromptWhateverTheBlocks) {  // A24
  const auto as_text = read(R"([{"role":"user","content":"a\n\nb"},{"role":"assistant","content":"c"},{"role":"user","content":"d"}])");
  const auto as_blocks = read(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":[{"type":"text","text":"c"}]},{"role":"user","content":[{"type":"text","text":"d"}]}])");
  const auto as_messages = read(R"([{"role":"user","content":"a"},{"role":"user","content":"b"},
    {"role":"assistant","content":"c"},{"role":"user","content":"d"}])");
  for (const auto& other : {as_blocks, as_messages}) {
    ASSERT_EQ(other.size(), as_text.size());
    for (size_t i = 0; i < other.size(); ++i) EXPECT_EQ(other[i].content, as_text[i].content);
  }
}

TEST_F(AnthropicApi, ResultsFollowTheirCalls) {  // A21
  const auto messages = read(R"([{"role":"user","content":"a"},
    {"role":"assistant","content":[{"type":"text","text":"t"},
      {"type":"tool_use","id":"toolu_aaaaaaaaaaaaaaaaaaaaaaaa","name":"f","input":{"x":1}},
      {"type":"tool_use","id":"toolu_2","name":"g","input":"{\"y\":2}"},{"type":"tool_use","id":"toolu_3","name":"h"}]},
    {"role":"user","content":[{"type":"text","text":"before"},
      {"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"r2"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},
      {"type":"tool_result","tool_use_id":"toolu_aaaaaaaaaaaaaaaaaaaaaaaa","content":"r1","is_error":true},
      {"type":"tool_result","tool_use_id":"toolu_3","content":[
        {"type":"image","source":{"type":"url","url":"https://a.example/x.png"}}]},{"type":"text","text":"after"}]}])");
  ASSERT_EQ(messages.size(), 6u);
  EXPECT_EQ(messages[1].calls.at(0).id, "call_aaaaaaaaaaaaaaaaaaaaaaaa") << "as the model wrote it";
  EXPECT_EQ(messages[1].calls.at(0).arguments, R"({"x":1})");
  EXPECT_EQ(messages[1].calls.at(1).arguments, R"({"y":2})");
  EXPECT_EQ(messages[1].calls.at(2).arguments, "{}");
  EXPECT_EQ(messages[2].content, "Error: r1");
  EXPECT_EQ(messages[2].tool_name, "f");
  EXPECT_EQ(messages[3].content, "r2" + chat::picture_mark(0));
  EXPECT_EQ(*request_.pictures.files().at(0), "hi");
  EXPECT_EQ(messages[4].content, chat::picture_mark(1));
  EXPECT_EQ(request_.pictures.addresses(), (std::map<size_t, std::string>{{1, "https://a.example/x.png"}}));
  EXPECT_EQ(messages[5].role, "user");
  EXPECT_EQ(messages[5].content, "before\n\nafter");
}

TEST_F(AnthropicApi, EveryBlockIsTakenOrRefusedAsItIsWritten) {  // A9
  const std::vector<std::pair<std::string, std::string>> taken = {
      {R"({"type":"document","title":"T","source":{"type":"text","data":"doc"}})", "T\ndoc"},
      {R"({"type":"document","source":{"type":"content","content":[{"type":"text","text":"x"}]}})", "x"},
      {R"({"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]})", "t\ns\nx"},
      {R"({"type":"tool_reference","tool_name":"f"})", "Tool loaded: f"},
      {R"({"type":"mid_conv_system","content":[{"type":"text","text":"sys"}]})", "sys"},
      {R"({"type":"tool_addition","tool":{"name":"f"}})", "Tool added: f"},
      {R"({"type":"compaction","content":"short"})", "short"},
      {R"({"type":"web_search_tool_result","tool_use_id":"x","content":[]})", R"({"type":"web_search_tool_result","content":[]})"},
      {R"({"type":"mcp_tool_use","id":"x","name":"n","input":{}})", R"({"type":"mcp_tool_use","name":"n","input":{}})"},
      {R"({"type":"container_upload","file_id":"x"})", ""},
      {R"({"type":"hologram"})", ""}};
  for (const auto& [block, expected] : taken) {
    const auto messages = read(fmt::format(R"([{{"role":"user","content":[{}]}}])", block));
    ASSERT_FALSE(messages.empty()) << block;
    EXPECT_EQ(messages.back().content, expected) << block;
  }
  for (const char* block : {R"({"type":"document","source":{"type":"base64","media_type":"application/pdf","data":""}})",
                            R"({"type":"document","source":{"type":"url","url":"http://x"}})", R"({"type":"image","source":{}})"})
    EXPECT_EQ(send(fmt::format(R"("messages":[{{"role":"user","content":[{}]}}])", block))->head.status, 400u) << block;
  read(R"([{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"redacted_thinking","data":"x"},
    {"type":"server_tool_use","id":"s","name":"web_search","input":{}}]},{"role":"user","content":[]}])");
}

TEST_F(AnthropicApi, ToolsOfAllKinds) {  // A13, A15, A26
  const auto exchange = say(R"(,"tools":[{"name":"mcp__server__tool","input_schema":{"type":"object"},"strict":true,
    "cache_control":{"type":"ephemeral"},"eager_input_streaming":true},{"type":"bash_20250124","name":"bash"},
    {"type":"text_editor_20250728","name":"edit"},{"type":"web_search_20250305","name":"web_search"},
    {"type":"computer_20250124","name":"computer"}],"tool_choice":{"type":"any","disable_parallel_tool_use":true})");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  const ChatInput& input = chat_input();
  ASSERT_EQ(input.tools.size(), 3u);
  EXPECT_EQ(input.tools[0].name, "mcp__server__tool");
  EXPECT_EQ(input.strict_tools, std::vector<std::string>{"mcp__server__tool"});
  EXPECT_TRUE(input.tools[1].parameters.at("properties").as_object().contains("command"));
  EXPECT_EQ(input.choice.mode, ToolChoice::Mode::kRequired);
  EXPECT_FALSE(input.choice.parallel);
  EXPECT_NE(warnings(*exchange).find("tools.3="), std::string::npos) << warnings(*exchange);

  const auto only_search = say(R"(,"tools":[{"type":"web_search_20250305","name":"web_search"}])");
  EXPECT_EQ(only_search->head.status, 400u);
  EXPECT_EQ(only_search->object().at("error").at("message"), "web_search is not available on this server");
  say(std::string(kTools) + R"(,"tool_choice":{"type":"tool","name":"now"})");
  EXPECT_EQ(chat_input().choice.name, "now");
  say(std::string(kTools) + R"(,"tool_choice":{"type":"none"})");
  EXPECT_EQ(chat_input().choice.mode, ToolChoice::Mode::kNone);
  EXPECT_EQ(say(R"(,"tools":[],"tool_choice":{"type":"auto"})")->head.status, 200u);
}

TEST_F(AnthropicApi, TheLastAnswerIsContinued) {
  read(R"([{"role":"user","content":"a"},{"role":"assistant","content":"The answer is \n"}])");
  EXPECT_EQ(chat_input().messages.back().content, "The answer is");
  const std::string begun = R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}])";
  EXPECT_EQ(send(begun + kThink)->head.status, 400u);
  EXPECT_EQ(send(begun + kTools + R"(,"tool_choice":{"type":"any"})")->head.status, 400u);
}

TEST_F(AnthropicApi, CountsTokensOfTheWholePrompt) {  // A8
  const auto exchange = ask(router_, "POST", "/v1/messages/count_tokens?beta=true",
                            std::string(R"({"model":"m","messages":[{"role":"user","content":"hi"}])") + kTools + "}");
  EXPECT_EQ(exchange->object(), (json::object{{"input_tokens", 3}}));
  EXPECT_EQ(chat_input().tools.size(), 2u);
  const auto edited = ask(router_, "POST", "/v1/messages/count_tokens",
                          R"({"model":"m","messages":[{"role":"user","content":"hi"}],"context_management":{}})");
  EXPECT_EQ(edited->object().at("context_management").at("original_input_tokens"), 3);
}

TEST_F(AnthropicApi, OtherModelsMayAnswerForNamesThatClientsHaveFixed) {  // A12
  service_->substitute = [](const std::string& name) {
    return name.starts_with("claude-") ? std::optional<std::string>("demo") : std::nullopt;
  };
  const auto exchange = ask(router_, "POST", "/v1/messages",
                            R"({"model":"claude-sonnet-5","max_tokens":5,"messages":[{"role":"user","content":"a"}]})");
  EXPECT_EQ(request_.model, "demo");
  EXPECT_EQ(exchange->object().at("model"), "claude-sonnet-5");
  EXPECT_EQ(warnings(*exchange), "model=demo answers");
}

TEST_F(AnthropicApi, ProbesAreAnswered) {  // A18
  const std::string body = R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}]})";
  for (const char* path : {"/v1/messages?beta=true", "/v1/v1/messages", "/messages", "/v1/messages/"})
    EXPECT_EQ(ask(router_, "POST", path, body)->head.status, 200u) << path;
  EXPECT_EQ(ask(router_, "HEAD", "/api/hello")->head.status, 200u);
  EXPECT_EQ(ask(router_, "POST", "/api/event_logging/batch", "{}")->head.status, 204u);
  EXPECT_EQ(ask(router_, "POST", "/api/event_logging/v2/batch", "{}")->head.status, 204u);
  const auto unknown = ask(router_, "GET", "/v1/nothing", "", {{"anthropic-version", "2023-06-01"}});
  EXPECT_EQ(unknown->head.status, 404u);
  EXPECT_EQ(unknown->object().at("error").at("type"), "not_found_error");
  EXPECT_EQ(ask(router_, "GET", "/v1/messages")->object().at("type"), "error");
}

}  // namespace
}  // namespace hearth::api::anthropic
