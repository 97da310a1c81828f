// OpenAI's Responses API, as Codex and the Agents SDK use it. Names in brackets: see openai_test.cpp.
#include <gtest/gtest.h>

#include "api/opaque.h"
#include "api/openai/response_store.h"
#include "api/openai/routes.h"
#include "dialect.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using test::ask;
using test::FakeExchange;
using test::Kind;
using test::stream_events;
using test::StreamEvent;

class Responses : public test::DialectTest {
 protected:
  Responses() {
    add_routes(router_, service_);
    service_->render = [](const AnswerRequest&) -> Result<PromptView> { return PromptView{"p", {1, 2, 3}}; };
  }
  std::shared_ptr<FakeExchange> create(const std::string& more) {
    return ask(router_, "POST", "/v1/responses", R"({"model":"m")" + more + "}");
  }
};

// The response that the events of its items amount to (O4), checked as the Python SDK does.
json::array rebuild(const std::vector<StreamEvent>& events) {
  json::array items;
  std::string text;
  for (size_t i = 0; i < events.size(); ++i) {
    const json::object& data = events[i].data.as_object();
    EXPECT_EQ(data.at("sequence_number"), static_cast<int64_t>(i)) << "no gaps";
    EXPECT_EQ(data.at("type"), json::string_view(events[i].type));
    if (events[i].type == "response.output_item.added") {
      EXPECT_EQ(data.at("output_index"), static_cast<int64_t>(items.size()));
      text.clear();
    }
    EXPECT_TRUE(!data.contains("item_id") || data.at("output_index") == static_cast<int64_t>(items.size()));
    if (events[i].type.ends_with(".delta")) text += std::string_view(data.at("delta").as_string());
    for (const char* whole : {"text", "arguments", "input"}) {
      const bool told = events[i].type.ends_with(".done") && data.contains(whole);
      EXPECT_TRUE(!told || data.at(whole) == json::string_view(text)) << events[i].type;
    }
    if (events[i].type == "response.output_item.done") items.push_back(data.at("item"));
  }
  return items;
}

std::vector<std::string> types(const std::vector<StreamEvent>& events) {
  std::vector<std::string> list;
  for (const auto& event : events) list.push_back(event.type);
  return list;
}

TEST_F(Responses, HaveEveryMember) {
  const json::object response = create(R"(,"input":"hi","instructions":"Be brief.")")->object();
  for (const char* name : {"id", "object", "created_at", "completed_at", "status", "error", "incomplete_details",
                           "instructions", "max_output_tokens", "max_tool_calls", "model", "output",
                           "parallel_tool_calls", "previous_response_id", "prompt_cache_key", "reasoning",
                           "safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools",
                           "top_logprobs", "top_p", "truncation", "usage", "user", "metadata", "background"})
    EXPECT_TRUE(response.contains(name)) << name;
  EXPECT_EQ(response.at("status"), "completed");
  ASSERT_EQ(response.at("output").as_array().size(), 2u);
  EXPECT_EQ(response.at("output").at(0).at("type"), "reasoning");
  EXPECT_EQ(response.at("output").at(0).at("content").at(0).at("text"), "hm");
  EXPECT_EQ(response.at("output").at(0).at("summary"), json::array());
  EXPECT_FALSE(response.at("output").at(0).as_object().contains("encrypted_content"));
  EXPECT_EQ(response.at("output").at(1).at("content").at(0).at("text"), "Hello");
  EXPECT_EQ(response.at("usage"), json::parse(R"({"input_tokens":12,"input_tokens_details":{"cached_tokens":8,
    "cache_write_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":15})"));
  EXPECT_EQ(chat_input().messages.at(0).content, "Be brief.");
}

TEST_F(Responses, StreamsAmountToTheResponse) {  // O4
  for (const std::string more : {R"(,"reasoning":{"summary":"auto"})", R"(,"include":["reasoning.encrypted_content"])", ""}) {
    const auto events = stream_events(create(R"(,"input":"hi","stream":true)" + more)->body);
    const json::array items = rebuild(events);
    EXPECT_EQ(events.front().type, "response.created");
    EXPECT_EQ(events[0].data.at("response").at("output"), json::array());
    EXPECT_EQ(events[1].type, "response.in_progress");
    EXPECT_EQ(events.back().type, "response.completed");
    EXPECT_EQ(events.back().data.at("response").at("output"), items);
  }
  EXPECT_EQ(types(stream_events(create(R"(,"input":"hi","stream":true)")->body)),
            (std::vector<std::string>{
                "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
                "response.reasoning_text.delta", "response.reasoning_text.done", "response.content_part.done",
                "response.output_item.done", "response.output_item.added", "response.content_part.added",
                "response.output_text.delta", "response.output_text.delta", "response.output_text.done",
                "response.content_part.done", "response.output_item.done", "response.completed"}));
  events_ = {accepted(), text("cut"), end({}, AnswerEnd::Reason::kLength)};
  const auto cut = stream_events(create(R"(,"input":"hi","stream":true)")->body);
  EXPECT_EQ(cut.back().type, "response.incomplete");
  EXPECT_EQ(cut.back().data.at("response").at("incomplete_details").at("reason"), "max_output_tokens");
  EXPECT_EQ(rebuild(cut).at(0).at("status"), "incomplete");
  events_ = {accepted(), text("a"), failed(ErrorKind::kIo, "broke")};
  const auto late = stream_events(create(R"(,"input":"hi","stream":true)")->body);
  EXPECT_EQ(late.back().type, "response.failed");
  EXPECT_EQ(late.back().data.at("response").at("error").at("message"), "broke");
}

// What Codex sends, in short.
TEST_F(Responses, CodexGetsItsToolsAsItKnowsThem) {  // O1, O2, O3
  events_ = {accepted(),
             {.deltas = {{.kind = Kind::kCallBegin, .id = "call_1", .name = "mcp__fs__read"},
                         {.kind = Kind::kArguments, .text = R"({"p":1})"},
                         {.kind = Kind::kCallEnd}}},
             {.deltas = {{.kind = Kind::kCallBegin, .index = 1, .id = "call_2", .name = "apply_patch"},
                         {.kind = Kind::kArguments, .text = R"({"input":"*** Begin\n)", .index = 1},
                         {.kind = Kind::kArguments, .text = R"(x"})", .index = 1},
                         {.kind = Kind::kCallEnd, .index = 1}}},
             end()};
  const auto exchange = create(R"(,"stream":true,"store":false,"include":["reasoning.encrypted_content"],
    "instructions":"You are Codex.","tool_choice":"auto","parallel_tool_calls":false,"prompt_cache_key":"k",
    "reasoning":{"effort":"medium","summary":"auto"},"client_metadata":{},
    "tools":[{"type":"function","name":"shell","strict":false,"parameters":{"type":"object","properties":{}}},
      {"type":"custom","name":"apply_patch","format":{"type":"grammar","syntax":"lark","definition":"start: x"}},
      {"type":"namespace","name":"mcp__fs","tools":[{"type":"function","name":"read","parameters":{"type":"object"}}]},
      {"type":"web_search"}],
    "input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"rules"}]},
      {"type":"message","role":"user","content":[{"type":"input_text","text":"go"}]},
      {"type":"reasoning","summary":[],"encrypted_content":"Zm9yZWlnbg=="},
      {"type":"function_call","call_id":"call_0","namespace":"mcp__fs","name":"read","arguments":"{}"},
      {"type":"function_call_output","call_id":"call_0","output":[{"type":"input_text","text":"ok"}]}])");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  const json::array items = rebuild(stream_events(exchange->body));
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].at("namespace"), "mcp__fs");
  EXPECT_EQ(items[0].at("name"), "read");
  EXPECT_EQ(items[0].at("call_id"), "call_1");
  EXPECT_EQ(items[0].at("arguments"), R"({"p":1})");
  EXPECT_EQ(items[1].at("type"), "custom_tool_call");
  EXPECT_EQ(items[1].at("input"), "*** Begin\nx");
  const ChatInput& input = chat_input();
  ASSERT_EQ(input.tools.size(), 3u);
  EXPECT_EQ(input.tools[2].name, "mcp__fs__read");
  ASSERT_EQ(input.messages.size(), 5u);
  EXPECT_EQ(input.messages[3].calls.at(0).name, "mcp__fs__read") << "as the model called it";
  EXPECT_EQ(input.messages[4].content, "ok");
  const std::string told(exchange->head.headers.get("x-hearth-warnings"));
  EXPECT_NE(told.find("tools[3]="), std::string::npos) << told;
}

TEST_F(Responses, ReasoningComesBackAsItWas) {  // O6
  const json::object first = create(R"(,"input":"hi","store":false,"include":["reasoning.encrypted_content"])")->object();
  const json::value& reasoning = first.at("output").at(0);
  EXPECT_EQ(unseal(std::string(reasoning.at("encrypted_content").as_string())), "hm");
  json::object sealed{{"type", "reasoning"}, {"encrypted_content", reasoning.at("encrypted_content")}};
  create(fmt::format(R"(,"input":[{},{{"role":"assistant","content":"Hello"}},{{"role":"user","content":"more"}}])",
                     json::serialize(sealed)));
  ASSERT_EQ(chat_input().messages.size(), 2u) << "one answer";
  EXPECT_EQ(chat_input().messages[0].reasoning, "hm");
  EXPECT_EQ(chat_input().messages[0].content, "Hello");
}

TEST_F(Responses, GoOnFromStoredOnes) {  // O5
  const auto id_of = [](const json::object& response) { return std::string(response.at("id").as_string()); };
  const std::string one = id_of(create(R"(,"input":"turn 1","instructions":"not kept")")->object());
  const auto streamed = stream_events(create(fmt::format(R"(,"input":"turn 2","stream":true,"previous_response_id":"{}")", one))->body);
  const std::string two = id_of(streamed.back().data.at("response").as_object());
  const json::object three = create(fmt::format(R"(,"input":"turn 3","previous_response_id":"{}")", two))->object();
  EXPECT_EQ(three.at("previous_response_id"), json::string_view(two));
  std::vector<std::string> said;
  for (const auto& message : chat_input().messages) said.push_back(message.content);
  EXPECT_EQ(said, (std::vector<std::string>{"turn 1", "Hello", "turn 2", "Hello", "turn 3"}));

  const auto unknown = create(R"(,"input":"x","previous_response_id":"resp_x")");
  EXPECT_EQ(unknown->head.status, 400u);
  EXPECT_EQ(unknown->object().at("error").at("code"), "previous_response_not_found");
  EXPECT_EQ(unknown->object().at("error").at("message"), "Previous response with id 'resp_x' not found.");

  const std::string path = "/v1/responses/" + id_of(three);
  EXPECT_EQ(ask(router_, "GET", path)->object().at("id"), three.at("id"));
  const json::object items = ask(router_, "GET", path + "/input_items")->object();
  EXPECT_EQ(items.at("data").as_array().size(), 1u);
  EXPECT_EQ(items.at("first_id"), items.at("data").at(0).at("id"));
  EXPECT_EQ(ask(router_, "POST", path + "/cancel")->head.status, 400u);
  EXPECT_EQ(ask(router_, "DELETE", path)->object().at("deleted"), true);
  EXPECT_EQ(ask(router_, "GET", path)->head.status, 404u);
  const std::string unstored = id_of(create(R"(,"input":"x","store":false)")->object());
  EXPECT_EQ(ask(router_, "GET", "/v1/responses/" + unstored)->head.status, 404u);
}

TEST_F(Responses, TheStoreIsBoundedAndEachOwnersOwn) {
  auto now = std::chrono::steady_clock::time_point();
  ResponseStore store({.age = std::chrono::seconds(60), .bytes = 5000}, [&] { return now; });
  const auto response = [](size_t bytes) {
    StoredResponse stored;
    stored.response["text"] = std::string(bytes, 'x');
    return stored;
  };
  store.put("a", "ann", response(1000));
  EXPECT_NE(store.get("a", "ann"), nullptr);
  EXPECT_EQ(store.get("a", "bob"), nullptr);
  EXPECT_FALSE(store.remove("a", "bob"));
  for (int i = 0; i < 20; ++i) {
    store.put(fmt::format("b{}", i), "ann", response(1000));
    EXPECT_LE(store.bytes(), 5000u);
  }
  EXPECT_EQ(store.get("a", "ann"), nullptr) << "the oldest goes";
  EXPECT_NE(store.get("b19", "ann"), nullptr);
  store.put("large", "ann", response(10'000));
  EXPECT_EQ(store.get("large", "ann"), nullptr);
  now += std::chrono::seconds(61);
  EXPECT_EQ(store.get("b19", "ann"), nullptr);
  EXPECT_EQ(store.bytes(), 0u);
}

TEST_F(Responses, RefusalsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "input"},
      {R"(,"input":5)", "input"},
      {R"(,"input":"x","conversation":"c")", "conversation"},
      {R"(,"input":"x","background":true)", "background"},
      {R"(,"input":"x","include":["x"])", "include"},
      {R"(,"input":"x","truncation":"x")", "truncation"},
      {R"(,"input":"x","n":2)", "n"},
      {R"(,"input":[{"type":"item_reference","id":"x"}])", "input[0].id"},
      {R"(,"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}])", "input[0].content[0].image_url"},
      {R"(,"input":"x","tool_choice":{"type":"web_search"})", "tool_choice.type"}};
  for (const auto& [more, param] : cases) {
    for (const char* stream : {"", R"(,"stream":true)"}) {
      const auto exchange = create(more + stream);
      EXPECT_EQ(exchange->head.status, 400u) << more;
      EXPECT_EQ(exchange->object().at("error").at("param"), json::string_view(param)) << exchange->body;
    }
  }
  EXPECT_EQ(ask(router_, "POST", "/v1/responses/compact", "{}")->head.status, 501u);
  EXPECT_EQ(ask(router_, "POST", "/v1/responses/input_tokens", R"({"model":"m","input":"x"})")->object(),
            (json::object{{"object", "response.input_tokens"}, {"input_tokens", 3}}));
}

TEST_F(Responses, TokensAreShownInTheFormsOfBothServers) {
  service_->tokenize = [](const TokenizeRequest& request) -> Result<std::vector<TokenView>> {
    return std::vector<TokenView>{{request.add_special ? 1 : 7, request.text}};
  };
  service_->detokenize = [](const std::string&, const std::vector<int32_t>& tokens) -> Result<std::string> {
    return std::string(tokens.size(), 'x');
  };
  service_->context_tokens = [](const std::string&) { return 4096u; };
  EXPECT_EQ(ask(router_, "POST", "/tokenize", R"({"model":"m","content":"ab"})")->object(),
            (json::object{{"tokens", json::array{7}}}));
  EXPECT_EQ(ask(router_, "POST", "/tokenize", R"({"model":"m","content":"ab","with_pieces":true})")->object().at("tokens").at(0),
            (json::object{{"id", 7}, {"piece", "ab"}}));
  EXPECT_EQ(ask(router_, "POST", "/tokenize", R"({"model":"m","prompt":"ab"})")->object(),
            json::parse(R"({"count":1,"max_model_len":4096,"tokens":[1],"token_strs":["ab"]})"));
  EXPECT_EQ(ask(router_, "POST", "/tokenize", R"({"model":"m","messages":[{"role":"user","content":"a"}]})")->object().at("count"), 3);
  EXPECT_EQ(ask(router_, "POST", "/detokenize", R"({"model":"m","tokens":[1,2]})")->object().at("content"), "xx");
  EXPECT_EQ(ask(router_, "POST", "/apply-template", R"({"model":"m","messages":[{"role":"user","content":"a"}]})")->object(),
            (json::object{{"prompt", "p"}}));
  EXPECT_EQ(ask(router_, "POST", "/tokenize", R"({"model":"m"})")->head.status, 400u);
}

}  // namespace
}  // namespace hearth::api::openai
