// OpenAI's dialect: what clients send and what they get, against a service that answers as the test says. Names in
// brackets are those of the traps that the project's list of peers' faults has.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "api/openai/ask.h"
#include "api/openai/routes.h"
#include "dialect.h"
#include "chat/picture_marks.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;
using test::ask;
using test::FakeExchange;
using test::Kind;
using test::stream_events;
using test::StreamEvent;

constexpr const char* kWeather =
    R"({"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}})";

class OpenAiApi : public test::DialectTest {
 protected:
  OpenAiApi() { add_routes(router_, service_); }

  std::shared_ptr<FakeExchange> chat(const std::string& more = {}) {
    return ask(router_, "POST", "/v1/chat/completions",
               R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + more + "}");
  }
  std::shared_ptr<FakeExchange> complete(const std::string& more) {
    return ask(router_, "POST", "/v1/completions", R"({"model":"m")" + more + "}");
  }
  static json::object error_of(const FakeExchange& exchange) {
    return exchange.object().at("error").as_object();
  }
  static std::string warnings(const FakeExchange& exchange) {
    return std::string(exchange.head.headers.get("x-hearth-warnings"));
  }
};

TEST_F(OpenAiApi, AnswersWithEveryMemberThatClientsRead) {
  const auto exchange = chat();
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  EXPECT_FALSE(exchange->head.headers.get("openai-processing-ms").empty());
  const json::object reply = exchange->object();
  EXPECT_TRUE(reply.at("id").as_string().starts_with("chatcmpl-"));
  EXPECT_EQ(reply.at("id").as_string().size(), 9u + 29);
  EXPECT_EQ(reply.at("object"), "chat.completion");
  EXPECT_EQ(reply.at("model"), "m");
  EXPECT_TRUE(reply.at("system_fingerprint").as_string().starts_with("fp_"));
  EXPECT_FALSE(reply.contains("service_tier"));
  const json::object& choice = reply.at("choices").at(0).as_object();
  EXPECT_EQ(choice.at("index"), 0);
  EXPECT_EQ(choice.at("finish_reason"), "stop");
  EXPECT_TRUE(choice.at("logprobs").is_null());
  EXPECT_EQ(choice.at("message"), (json::object{{"role", "assistant"},
                                                {"content", "Hello"},
                                                {"refusal", nullptr},
                                                {"reasoning_content", "hm"},
                                                {"reasoning", "hm"},
                                                {"annotations", json::array()}}))
      << "O8: reasoning under both names, no tool_calls";
  EXPECT_EQ(reply.at("usage"),
            json::parse(R"({"prompt_tokens":12,"completion_tokens":3,"total_tokens":15,
              "prompt_tokens_details":{"cached_tokens":8,"audio_tokens":0},
              "completion_tokens_details":{"reasoning_tokens":1,"audio_tokens":0,"accepted_prediction_tokens":0,
              "rejected_prediction_tokens":0}})"));
}

TEST_F(OpenAiApi, StreamsInTheOrderThatClientsExpect) {
  const auto exchange = chat(R"(,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT_EQ(exchange->head.headers.get("Content-Type"), "text/event-stream");
  EXPECT_EQ(exchange->head.headers.get("Cache-Control"), "no-cache");
  const auto events = stream_events(exchange->body);
  ASSERT_EQ(events.size(), 7u);
  const auto delta = [&](size_t i) { return events[i].data.at("choices").at(0).at("delta").as_object(); };
  EXPECT_EQ(delta(0), (json::object{{"role", "assistant"}, {"content", ""}}));
  EXPECT_EQ(delta(1), (json::object{{"reasoning_content", "hm"}, {"reasoning", "hm"}}));
  EXPECT_EQ(delta(2), (json::object{{"content", "He"}}));
  EXPECT_EQ(delta(3), (json::object{{"content", "llo"}}));
  EXPECT_TRUE(events[3].data.at("choices").at(0).at("finish_reason").is_null());
  EXPECT_EQ(delta(4), json::object());
  EXPECT_EQ(events[4].data.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_TRUE(events[4].data.at("usage").is_null());
  EXPECT_EQ(events[5].data.at("choices"), json::array());
  EXPECT_EQ(events[5].data.at("usage").at("total_tokens"), 15);
  EXPECT_EQ(events[6].data, "[DONE]");
  for (size_t i = 0; i < 6; ++i) {
    for (const char* same : {"id", "created", "model", "system_fingerprint"})
      EXPECT_EQ(events[i].data.at(same), events[0].data.at(same));
    EXPECT_EQ(events[i].data.at("object"), "chat.completion.chunk");
  }
  const auto plain = stream_events(chat(R"(,"stream":true)")->body);
  EXPECT_EQ(plain.size(), 6u);
  for (const auto& event : plain)
    EXPECT_FALSE(event.data.is_object() && event.data.as_object().contains("usage"));
  EXPECT_EQ(exchange->body.find("\nid:"), std::string::npos) << "O14";
}

// What the SDKs make of deltas: texts are joined.
json::object accumulate(const std::vector<StreamEvent>& events, const std::string& finish) {
  json::object message;
  for (const StreamEvent& event : events) {
    if (!event.data.is_object() || event.data.at("choices").as_array().empty()) continue;
    const json::object& choice = event.data.at("choices").at(0).as_object();
    for (const auto& [key, value] : choice.at("delta").as_object()) {
      if (key != "tool_calls") {
        message[key] = std::string(message.contains(key) ? message[key].as_string() : "") + std::string(value.as_string());
        continue;
      }
      EXPECT_EQ(choice.at("delta").as_object().size(), 1u) << "O26: nothing beside a call";
      for (const json::value& call : value.as_array()) {
        if (!message.contains("tool_calls")) message["tool_calls"] = json::array();
        json::array& calls = message["tool_calls"].as_array();
        const size_t index = static_cast<size_t>(call.at("index").as_int64());
        EXPECT_LE(index, calls.size()) << "O9: one after another";
        if (index == calls.size()) calls.push_back(json::object{{"function", json::object{{"arguments", ""}}}});
        json::object& out = calls[index].as_object();
        for (const char* once : {"id", "type"}) {
          if (!call.as_object().contains(once)) continue;
          EXPECT_FALSE(out.contains(once)) << "O9: only once";
          out[once] = call.at(once);
        }
        json::object& function = out["function"].as_object();
        if (call.at("function").as_object().contains("name")) function["name"] = call.at("function").at("name");
        function["arguments"] = std::string(function["arguments"].as_string()) +
                                std::string(call.at("function").at("arguments").as_string());
      }
    }
    EXPECT_TRUE(choice.at("finish_reason").is_null() || choice.at("finish_reason") == json::string_view(finish));
  }
  return message;
}

TEST_F(OpenAiApi, CallsAreTheSameStreamedAndNot) {
  events_ = calls();
  const std::string tools = fmt::format(R"(,"tools":[{},{{"type":"function","function":{{"name":"now"}}}}])", kWeather);
  const json::object reply = chat(tools)->object();
  const json::object& whole = reply.at("choices").at(0).at("message").as_object();
  EXPECT_EQ(reply.at("choices").at(0).at("finish_reason"), "tool_calls");
  EXPECT_TRUE(whole.at("content").is_null());
  EXPECT_EQ(whole.at("tool_calls"), json::parse(R"([
    {"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}},
    {"id":"call_2","type":"function","function":{"name":"now","arguments":"{}"}}])"))
      << "O21: a call without arguments has an empty object";
  const json::object streamed = accumulate(stream_events(chat(tools + R"(,"stream":true)")->body), "tool_calls");
  ASSERT_EQ(streamed.at("tool_calls").as_array().size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(streamed.at("tool_calls").at(i), whole.at("tool_calls").at(i));
  EXPECT_EQ(chat_input().tools.size(), 2u);
}

TEST_F(OpenAiApi, FinishReasonsTellTheTruth) {  // O10, O22
  const std::string tools = fmt::format(R"(,"tools":[{}])", kWeather);
  const auto finish = [&](const std::string& more) {
    return std::string(chat(tools + more)->object().at("choices").at(0).at("finish_reason").as_string());
  };
  EXPECT_EQ(finish(""), "stop") << "tools were offered, and none was called";
  events_ = {accepted(), text("x"), end({}, AnswerEnd::Reason::kLength)};
  EXPECT_EQ(finish(""), "length");
  events_ = {accepted(), text("x"), end({}, AnswerEnd::Reason::kContextFull)};
  EXPECT_EQ(finish(""), "length");
  events_ = {accepted(),
             {.deltas = {{.kind = Kind::kCallBegin, .id = "call_1", .name = "get_weather"},
                         {.kind = Kind::kArguments, .text = R"({"ci)"},
                         {.kind = Kind::kCallEnd, .complete = false}}},
             end({}, AnswerEnd::Reason::kLength)};
  EXPECT_EQ(finish(""), "length");
  const json::object cut = accumulate(stream_events(chat(tools + R"(,"stream":true)")->body), "length");
  EXPECT_EQ(cut.at("tool_calls").at(0).at("function").at("arguments"), R"({"ci)");
  for (const char* choice : {R"("required")", R"({"type":"function","function":{"name":"get_weather"}})"}) {
    events_ = calls();
    EXPECT_EQ(finish(fmt::format(R"(,"tool_choice":{})", choice)), "tool_calls");
  }
}

TEST_F(OpenAiApi, ErrorsHaveStatusTypeParamAndCode) {
  struct Case {
    std::string more, param, code;
  };
  const std::vector<Case> cases = {
      {R"(,"temperature":3)", "temperature", "invalid_value"},
      {R"(,"temperature":"hot")", "temperature", "invalid_type"},
      {R"(,"top_p":1.5)", "top_p", "invalid_value"},
      {R"(,"max_tokens":0)", "max_tokens", "invalid_value"},
      {R"(,"n":0)", "n", "invalid_value"},
      {R"(,"n":100)", "n", "unsupported_value"},
      {R"(,"stop":5)", "stop", "invalid_type"},
      {R"(,"stop":["a",5])", "stop[1]", "invalid_type"},
      {R"(,"logit_bias":{"x":1})", "logit_bias.x", "invalid_value"},
      {R"(,"logit_bias":{"5":101})", "logit_bias.5", "invalid_value"},
      {R"(,"top_logprobs":3)", "top_logprobs", "invalid_value"},
      {R"(,"logprobs":true,"top_logprobs":21)", "top_logprobs", "invalid_value"},
      {R"(,"stream_options":{})", "stream_options", "invalid_value"},
      {R"(,"functions":[])", "functions", "unsupported_parameter"},
      {R"(,"web_search_options":{})", "web_search_options", "unsupported_parameter"},
      {R"(,"audio":{})", "audio", "unsupported_parameter"},
      {R"(,"modalities":["audio"])", "modalities", "unsupported_value"},
      {R"(,"echo":true)", "echo", "unsupported_parameter"},
      {R"(,"reasoning_effort":"much")", "reasoning_effort", "invalid_value"},
      {R"(,"reasoning_effort":"none","think":true)", "think", "invalid_value"},
      {R"(,"response_format":{"type":"xml"})", "response_format.type", "invalid_value"},
      {R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x"}})", "response_format.json_schema.schema",
       "missing_required_parameter"},
      {R"(,"response_format":{"type":"json_object"},"grammar":"root ::= \"a\"")", "response_format", "invalid_value"},
      {R"(,"tools":[{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name", "invalid_value"},
      {R"(,"tool_choice":"required")", "tool_choice", "invalid_value"},
      {R"(,"tools":[],"tool_choice":{"type":"function","function":{"name":"x"}})", "tool_choice", "invalid_value"},
      {R"(,"skip_special_tokens":false)", "skip_special_tokens", "unsupported_value"},
      {R"(,"metadata":{"a":1})", "metadata.a", "invalid_type"},
      {R"(,"continue_final_message":true,"add_generation_prompt":true)", "continue_final_message", "invalid_value"},
  };
  for (const Case& each : cases) {
    for (const char* stream : {"", R"(,"stream":true)"}) {  // O20: never a 200 that is an error
      if (each.param == "stream_options" && *stream != 0) continue;
      const auto exchange = chat(each.more + stream);
      ASSERT_EQ(exchange->head.status, 400u) << each.more;
      const json::object error = error_of(*exchange);
      EXPECT_EQ(error.size(), 4u);
      EXPECT_EQ(error.at("type"), "invalid_request_error");
      EXPECT_EQ(error.at("param"), json::string_view(each.param)) << each.more;
      EXPECT_EQ(error.at("code"), json::string_view(each.code)) << each.more;
    }
  }
  EXPECT_EQ(error_of(*ask(router_, "POST", "/v1/chat/completions", R"({"messages":[]})")).at("param"), "model");
  EXPECT_EQ(error_of(*ask(router_, "POST", "/v1/chat/completions", R"({"model":"m","messages":[]})")).at("message"),
            "[] is too short - 'messages'");
  const auto broken = ask(router_, "POST", "/v1/chat/completions", "{");
  EXPECT_EQ(broken->head.status, 400u);
  EXPECT_TRUE(error_of(*broken).at("param").is_null());
}

TEST_F(OpenAiApi, ErrorsOfTheServiceHaveTheirOwnStatuses) {
  struct Case {
    ErrorKind kind;
    unsigned status;
    const char *type, *code;
  };
  const std::vector<Case> cases = {
      {ErrorKind::kNotFound, 404, "invalid_request_error", "model_not_found"},
      {ErrorKind::kTooLong, 400, "invalid_request_error", "context_length_exceeded"},
      {ErrorKind::kBusy, 429, "rate_limit_error", "rate_limit_exceeded"},
      {ErrorKind::kNoMemory, 503, "service_unavailable_error", "server_is_overloaded"}};
  for (const Case& each : cases) {
    events_ = {failed(each.kind, "why")};
    events_[0].end->usage.prompt_tokens = 5000;
    events_[0].end->context_tokens = 4096;
    events_[0].end->retry_after_s = 7;
    for (const char* stream : {"", R"(,"stream":true)"}) {
      const auto exchange = chat(stream);
      EXPECT_EQ(exchange->head.status, each.status);
      EXPECT_EQ(error_of(*exchange).at("type"), each.type);
      EXPECT_EQ(error_of(*exchange).at("code"), each.code);
      EXPECT_EQ(exchange->head.headers.get("retry-after"), "7");
      EXPECT_EQ(exchange->head.headers.get("retry-after-ms"), "7000");
    }
  }
  events_ = {failed(ErrorKind::kTooLong, "")};
  events_[0].end->usage.prompt_tokens = 5000;
  events_[0].end->context_tokens = 4096;
  const json::object overflow = error_of(*chat());  // O16: agents look for these words
  EXPECT_EQ(overflow.at("message"),
            "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens (5000 in "
            "the messages, 0 in the completion). Please reduce the length of the messages or completion.");
  EXPECT_EQ(overflow.at("param"), "messages");
  service_->list = [] { return std::vector<ModelSummary>{{.name = "demo:latest"}}; };
  events_ = {failed(ErrorKind::kNotFound, "")};
  EXPECT_NE(error_of(*chat()).at("message").as_string().find("demo:latest"), json::string::npos);

  events_ = {accepted(), text("a"), failed(ErrorKind::kIo, "broke")};
  const auto late = stream_events(chat(R"(,"stream":true)")->body);
  EXPECT_EQ(late.back().data.at("error").at("message"), "broke");
  EXPECT_EQ(late.size(), 3u) << "and no [DONE]";
  EXPECT_EQ(chat()->head.status, 500u);
}

TEST_F(OpenAiApi, EveryParameterArrives) {
  chat(R"(,"temperature":0.5,"top_p":0.25,"seed":-3,"frequency_penalty":1.5,"presence_penalty":-1,
    "logit_bias":{"7":-100,"8":5},"stop":"x","max_completion_tokens":9,"max_tokens":5,"n":2,"user":"ann","top_k":3,
    "min_p":0.125,"min_tokens":2,"ignore_eos":true,"stop_token_ids":[4],"repetition_penalty":1.5,"priority":2,
    "cache_salt":"s","logprobs":true,"top_logprobs":2,"reasoning_effort":"low","parallel_tool_calls":false,
    "keep_alive":"1m","options":{"num_ctx":512},"chat_template_kwargs":{"a":1},"thinking_token_budget":50)");
  ASSERT_EQ(requests_.size(), 1u);
  const sampling::Options options = this->options();
  EXPECT_EQ(options.temperature, 0.5f);
  EXPECT_EQ(options.top_p, 0.25f);
  EXPECT_GE(options.seed, 0) << "one of those that are not drawn";
  EXPECT_EQ(options.frequency_penalty, 1.5f);
  EXPECT_EQ(options.presence_penalty, -1);
  EXPECT_TRUE(std::isinf(options.logit_bias.at(7)));
  EXPECT_EQ(options.logit_bias.at(8), 5);
  EXPECT_EQ(options.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(options.num_predict, 9) << "O17";
  EXPECT_EQ(options.top_k, 3);
  EXPECT_EQ(options.min_p, 0.125f);
  EXPECT_EQ(options.repeat_penalty, 1.5f);
  EXPECT_EQ(options.logprobs, 2);
  EXPECT_EQ(request_.count, 2u);
  EXPECT_EQ(request_.caller.user, "user/ann");
  EXPECT_EQ(request_.settings.min_tokens, 2u);
  EXPECT_TRUE(request_.settings.ignore_eos);
  EXPECT_EQ(request_.settings.stop_tokens, std::vector<int32_t>{4});
  EXPECT_EQ(request_.priority, -2);
  EXPECT_EQ(request_.cache_salt, "s");
  EXPECT_EQ(request_.thinking.level, "low");
  EXPECT_EQ(request_.thinking.most_tokens, 50u);
  EXPECT_FALSE(request_.thinking.required);
  EXPECT_FALSE(chat_input().choice.parallel);
  EXPECT_EQ(chat_input().variables, R"("a":1)");
  EXPECT_EQ(request_.load.context, 512u);
  EXPECT_EQ(request_.keep_alive, std::chrono::minutes(1));
  EXPECT_EQ(warnings(*chat(R"(,"max_completion_tokens":9,"max_tokens":5)")), "max_tokens=max_completion_tokens counts");

  chat(R"(,"max_completion_tokens":-1,"temperature":null,"stop":[],"seed":null)");
  EXPECT_EQ(this->options().num_predict, -1) << "O17, O23";
  EXPECT_EQ(this->options().temperature, 1);
  EXPECT_EQ(this->options().top_p, 1);
  EXPECT_EQ(this->options().seed, -1);
  chat(R"(,"top_p":0)");
  EXPECT_EQ(this->options().temperature, 0) << "the most likely token";
  chat(R"(,"presence_penalty":1)");
  EXPECT_FALSE(request_.settings.penalises_prompt);
  chat(R"(,"logit_bias":[[5,false],["ab",1.5]],"max_tokens":128.0)");
  EXPECT_TRUE(std::isinf(this->options().logit_bias.at(5)));
  EXPECT_EQ(request_.settings.text_bias.at(0).first, "ab");
  EXPECT_EQ(this->options().num_predict, 128);
}

TEST_F(OpenAiApi, WhatIsDroppedIsNamed) {
  const auto exchange = chat(R"(,"store":true,"foo_bar":1,"verbosity":"low","id_slot":3,"stop":["",""],"nothing":null)");
  EXPECT_EQ(exchange->head.status, 200u);
  const std::string told = warnings(*exchange);
  for (const char* name : {"store=", "foo_bar=", "verbosity=", "id_slot=", "stop="})
    EXPECT_NE(told.find(name), std::string::npos) << told;
  EXPECT_EQ(told.find("nothing"), std::string::npos) << "null is absent";
  EXPECT_EQ(warnings(*chat(R"(,"user":"x","metadata":{"a":"b"},"prompt_cache_key":"k","store":false,"prediction":{})")), "");
  events_[0].warnings = {"tools=loosened"};
  EXPECT_EQ(warnings(*chat(R"(,"stream":true)")), "tools=loosened");
  EXPECT_EQ(chat(R"(,"service_tier":"auto")")->object().at("service_tier"), "default");
}

TEST_F(OpenAiApi, MessagesOfAllKinds) {
  const auto exchange = ask(router_, "POST", "/v1/chat/completions", R"({"model":"m","messages":[
    {"role":"developer","content":[{"type":"text","text":"Be "},{"type":"text","text":"brief."}]},
    {"role":"user","content":"","name":"ann"},
    {"role":"assistant","content":null,"reasoning_content":"thought","tool_calls":[
      {"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":"}},
      {"id":"call_2","type":"function","function":{"name":"g","arguments":""}},
      {"id":"call_3","type":"custom","custom":{"name":"c","input":"x\ny"}}]},
    {"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"1"}]},
    {"role":"tool","tool_call_id":"call_9","content":"?"},
    {"role":"user","content":"go on"}]})");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  const auto& messages = chat_input().messages;
  ASSERT_EQ(messages.size(), 6u);
  EXPECT_EQ(messages[0].role, "developer");
  EXPECT_EQ(messages[0].content, "Be brief.") << "parts are joined as they are";
  EXPECT_EQ(messages[2].reasoning, "thought");
  EXPECT_EQ(messages[2].calls.at(0).arguments, R"({"_raw":"{\"a\":"})") << "O11: never refused";
  EXPECT_EQ(messages[2].calls.at(1).arguments, "{}");
  EXPECT_EQ(json::parse(messages[2].calls.at(2).arguments).at("input"), "x\ny");
  EXPECT_EQ(messages[3].tool_name, "f");
  const std::string told = warnings(*exchange);
  EXPECT_NE(told.find("messages[2].tool_calls[0].function.arguments="), std::string::npos) << told;
  EXPECT_NE(told.find("messages[4].tool_call_id="), std::string::npos) << told;

  const auto seen = ask(router_, "POST", "/v1/chat/completions",
                        R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},
                            {"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},{"type":"text","text":"b"}]}]})");
  ASSERT_EQ(seen->head.status, 200u) << seen->body;
  EXPECT_EQ(chat_input().messages.at(0).content, "a" + chat::picture_mark(0) + "b");
  EXPECT_EQ(*request_.pictures.files().at(0), "hi");

  // Whether it may be fetched is for who serves to say.
  const auto named = ask(router_, "POST", "/v1/chat/completions",
                         R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/x.png"}}]}]})");
  ASSERT_EQ(named->head.status, 200u) << named->body;
  EXPECT_EQ(request_.pictures.addresses(), (std::map<size_t, std::string>{{0, "https://a.example/x.png"}}));
  EXPECT_EQ(request_.pictures.files().at(0), nullptr);

  for (const char* part : {R"({"type":"image_url","image_url":{"url":"data:image/png;base64,a!"}})",
                           R"({"type":"image_url","image_url":"file:///x.png"})",
                           R"({"type":"image_url"})",
                           R"({"type":"input_audio","input_audio":{}})", R"({"type":"file","file":{}})",
                           R"({"type":"hologram"})"}) {
    const auto refused = ask(router_, "POST", "/v1/chat/completions",
                             fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":[{}]}}]}})", part));
    EXPECT_EQ(refused->head.status, 400u) << part;
    EXPECT_TRUE(error_of(*refused).at("param").as_string().starts_with("messages[0].content[0]"));
  }
}

TEST_F(OpenAiApi, ToolsOfAllForms) {
  const auto exchange = chat(R"(,"tools":[{"type":"function","name":"flat","parameters":{"type":"object"},"strict":true},
    {"type":"custom","custom":{"name":"patch","format":{"type":"grammar","syntax":"regex","definition":"a+"}}},
    {"type":"web_search"},{"type":"function","function":{"name":"ns.f"}}])");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  const ChatInput& input = chat_input();
  ASSERT_EQ(input.tools.size(), 3u);
  EXPECT_EQ(input.strict_tools, std::vector<std::string>{"flat"});
  EXPECT_EQ(input.tools[1].parameters.at("properties").at("input").at("pattern"), "a+");
  EXPECT_NE(warnings(*exchange).find("tools[2]="), std::string::npos) << "O3: " << warnings(*exchange);

  chat(R"(,"tools":[],"tool_choice":"auto")");  // O18
  EXPECT_TRUE(chat_input().tools.empty());
  const std::string tools = fmt::format(R"(,"tools":[{}])", kWeather);
  chat(tools + R"(,"tool_choice":"none")");
  EXPECT_EQ(chat_input().choice.mode, ToolChoice::Mode::kNone);
  EXPECT_EQ(chat_input().tools.size(), 1u) << "they stay in the prompt";
  chat(tools + R"(,"tool_choice":{"type":"function","function":{"name":"get_weather"}})");
  EXPECT_EQ(chat_input().choice.name, "get_weather");
  chat(tools + R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",
    "tools":[{"type":"function","function":{"name":"get_weather"}}]}})");
  EXPECT_EQ(chat_input().choice.mode, ToolChoice::Mode::kRequired);
  EXPECT_EQ(chat_input().choice.allowed, std::vector<std::string>{"get_weather"});
  EXPECT_EQ(error_of(*chat(R"(,"tool_choice":"required")")).at("message"),
            "'tool_choice' is only allowed when 'tools' are specified.");
}

TEST_F(OpenAiApi, CustomToolsGiveTheirTextBack) {  // O2
  events_ = {accepted(),
             {.deltas = {{.kind = Kind::kCallBegin, .id = "call_1", .name = "patch"},
                         {.kind = Kind::kArguments, .text = R"({"input":"a\n)"},
                         {.kind = Kind::kArguments, .text = R"(b"})"},
                         {.kind = Kind::kCallEnd}}},
             end()};
  const std::string tools = R"(,"tools":[{"type":"custom","custom":{"name":"patch"}}])";
  const json::object call{{"id", "call_1"},
                          {"type", "custom"},
                          {"custom", json::object{{"name", "patch"}, {"input", "a\nb"}}}};
  EXPECT_EQ(chat(tools)->object().at("choices").at(0).at("message").at("tool_calls"), json::array{call});
  const auto events = stream_events(chat(tools + R"(,"stream":true)")->body);
  const auto delta = [&](size_t i) { return events[i].data.at("choices").at(0).at("delta").at("tool_calls").at(0); };
  EXPECT_EQ(delta(1).at("custom").at("name"), "patch");
  EXPECT_EQ(delta(2).at("custom").at("input"), "a\nb");
}

TEST_F(OpenAiApi, FormsOfTheAnswer) {
  const std::vector<std::tuple<std::string, Format::Kind, std::string>> cases = {
      {R"(,"response_format":{"type":"text"})", Format::Kind::kFree, ""},
      {R"(,"response_format":{"type":"json_object"})", Format::Kind::kJson, ""},
      {R"(,"response_format":{"type":"json_object","schema":{"type":"array"}})", Format::Kind::kSchema,
       R"({"type":"array"})"},
      {R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}})",
       Format::Kind::kSchema, R"({"type":"object"})"},
      {R"(,"response_format":{"type":"json_schema","schema":{"type":"object"}})", Format::Kind::kSchema,
       R"({"type":"object"})"},
      {R"(,"structured_outputs":{"regex":"a+"})", Format::Kind::kRegex, "a+"},
      {R"(,"guided_grammar":"root ::= \"a\"")", Format::Kind::kGrammar, R"(root ::= "a")"},
      {R"(,"grammar":"root ::= \"a\"")", Format::Kind::kGrammar, R"(root ::= "a")"},
      {R"(,"json_schema":{"type":"string"})", Format::Kind::kSchema, R"({"type":"string"})"},
      {R"(,"guided_choice":["a","b"])", Format::Kind::kChoice, ""}};
  for (const auto& [more, kind, words] : cases) {
    const auto exchange = chat(more);
    ASSERT_EQ(exchange->head.status, 200u) << more << exchange->body;
    EXPECT_EQ(request_.format.kind, kind) << more;
    EXPECT_EQ(request_.format.text, words) << more;
  }
  EXPECT_EQ(request_.format.choices.size(), 2u);
}

TEST_F(OpenAiApi, SeveralAnswersAreNumbered) {
  events_ = {accepted(), text("a"), text("b"), end({.prompt_tokens = 12, .generated_tokens = 3}),
             end({.prompt_tokens = 12, .generated_tokens = 4})};
  events_[2].choice = events_[4].choice = 1;
  const json::object reply = chat(R"(,"n":2)")->object();
  EXPECT_EQ(reply.at("choices").at(1).at("message").at("content"), "b");
  EXPECT_EQ(reply.at("choices").at(1).at("index"), 1);
  EXPECT_EQ(reply.at("usage").at("prompt_tokens"), 12) << "counted once";
  EXPECT_EQ(reply.at("usage").at("completion_tokens"), 7);
  const auto events = stream_events(chat(R"(,"n":2,"stream":true)")->body);
  int roles = 0, finishes = 0;
  for (const auto& event : events) {
    if (!event.data.is_object()) continue;
    roles += event.data.at("choices").at(0).at("delta").as_object().contains("role");
    finishes += !event.data.at("choices").at(0).at("finish_reason").is_null();
  }
  EXPECT_EQ(roles, 2);
  EXPECT_EQ(finishes, 2);
  EXPECT_EQ(events.back().data, "[DONE]");
}

TEST_F(OpenAiApi, ReportsTokensOfTheContent) {
  events_ = {accepted(),
             {.deltas = {{.kind = Kind::kReasoning, .text = "r"}}, .tokens = {{{"r", -1}, {}, false}}},
             {.deltas = {{.kind = Kind::kContent, .text = "x"}},
              .tokens = {{{"x", -0.5f}, {{"x", -0.5f}, {"\xc3", -INFINITY}}}}},
             end()};
  const std::string more = R"(,"logprobs":true,"top_logprobs":2)";
  const json::value logprobs = chat(more)->object().at("choices").at(0).at("logprobs");
  ASSERT_EQ(logprobs.at("content").as_array().size(), 1u);
  const json::value& token = logprobs.at("content").at(0);
  EXPECT_EQ(token.at("token"), "x");
  EXPECT_EQ(token.at("bytes"), json::array{120});
  EXPECT_EQ(token.at("top_logprobs").at(1).at("logprob"), -9999.0);
  EXPECT_EQ(token.at("top_logprobs").at(1).at("bytes"), json::array{0xc3});
  EXPECT_TRUE(logprobs.at("refusal").is_null());
  const auto events = stream_events(chat(more + R"(,"stream":true)")->body);
  EXPECT_EQ(events[2].data.at("choices").at(0).at("logprobs"), logprobs);
}

TEST_F(OpenAiApi, CompletesTexts) {
  events_ = {accepted(), text("Hel"), text("lo"), end({.prompt_tokens = 2, .generated_tokens = 2})};
  const json::object reply = complete(R"(,"prompt":"p","echo":true)")->object();
  EXPECT_TRUE(reply.at("id").as_string().starts_with("cmpl-"));
  EXPECT_EQ(reply.at("object"), "text_completion");
  EXPECT_EQ(reply.at("choices").at(0), json::parse(R"({"text":"pHello","index":0,"logprobs":null,"finish_reason":"stop"})"));
  EXPECT_TRUE(text_input().raw) << "no template";
  EXPECT_EQ(options().num_predict, 16);
  complete(R"(,"prompt":[1,2,3],"max_tokens":5)");
  EXPECT_EQ(text_input().tokens, (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(options().num_predict, 5);

  requests_.clear();
  const json::object many = complete(R"(,"prompt":["a","b"],"suffix":"s")")->object();
  ASSERT_EQ(requests_.size(), 2u);
  EXPECT_EQ(std::get<TextInput>(requests_[0].input).prompt, "a");
  EXPECT_EQ(std::get<TextInput>(requests_[1].input).suffix, "s");
  EXPECT_EQ(many.at("choices").at(1).at("index"), 1);
  EXPECT_EQ(many.at("usage").at("prompt_tokens"), 4) << "of both prompts";

  const auto events = stream_events(complete(R"(,"prompt":"p","stream":true,"stream_options":{"include_usage":true})")->body);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0].data.at("object"), "text_completion");
  EXPECT_EQ(events[0].data.at("choices").at(0).at("text"), "Hel");
  EXPECT_EQ(events[2].data.at("choices").at(0), json::parse(R"({"text":"","index":0,"logprobs":null,"finish_reason":"stop"})"));
  EXPECT_EQ(events[3].data.at("usage").at("total_tokens"), 4);
  EXPECT_EQ(events[4].data, "[DONE]");

  for (const char* more : {R"(,"prompt":[])", "", R"(,"prompt":[[]])", R"(,"prompt":"p","max_tokens":0)",
                           R"(,"prompt":"p","best_of":3)", R"(,"prompt":"p","logprobs":6)"})
    EXPECT_EQ(complete(more)->head.status, 400u) << more;

  const auto report = [](const char* chosen, float logprob, const char* best) {
    TokenReport token;
    token.chosen = {chosen, logprob};
    token.most_likely.push_back({best, -1});
    return token;
  };
  events_[1].tokens.push_back(report("Hel", -1, "Hel"));
  events_[2].tokens.push_back(report("lo", -2, "la"));
  EXPECT_EQ(complete(R"(,"prompt":"p","logprobs":1)")->object().at("choices").at(0).at("logprobs"),
            json::parse(R"({"tokens":["Hel","lo"],"token_logprobs":[-1E0,-2E0],"top_logprobs":[{"Hel":-1E0},{"la":-1E0}],
              "text_offset":[0,3]})"));
}

TEST_F(OpenAiApi, ListsModelsForThreeKindsOfClients) {  // O7
  service_->list = [] {
    return std::vector<ModelSummary>{{.name = "a:latest", .modified = 1787338102, .context = 8192, .served_context = 4096},
                                     {.name = "org/b:q4"}};
  };
  const json::object list = ask(router_, "GET", "/v1/models")->object();
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("models"), json::array());
  EXPECT_EQ(list.at("has_more"), false);
  EXPECT_EQ(list.at("first_id"), "a:latest");
  EXPECT_EQ(list.at("last_id"), "org/b:q4");
  const json::object& model = list.at("data").at(0).as_object();
  EXPECT_EQ(model.at("id"), "a:latest");
  EXPECT_EQ(model.at("object"), "model");
  EXPECT_EQ(model.at("type"), "model");
  EXPECT_EQ(model.at("created"), 1787338102);
  EXPECT_EQ(model.at("owned_by"), "library");
  EXPECT_EQ(model.at("max_model_len"), 4096);
  EXPECT_EQ(model.at("meta").at("n_ctx"), 4096);
  EXPECT_EQ(list.at("data").at(1).at("owned_by"), "org");
  const json::object page = ask(router_, "GET", "/v1/models?limit=1&after_id=a:latest")->object();
  EXPECT_EQ(page.at("data").as_array().size(), 1u);
  EXPECT_EQ(page.at("first_id"), "org/b:q4");

  EXPECT_EQ(ask(router_, "GET", "/v1/models/A")->object().at("id"), "A");
  EXPECT_EQ(ask(router_, "GET", "/v1/models/org%2Fb:q4")->head.status, 200u);
  EXPECT_EQ(ask(router_, "GET", "/v1/models/org/b:q4")->head.status, 200u);
  const auto missing = ask(router_, "GET", "/v1/models/gpt-5");
  EXPECT_EQ(missing->head.status, 404u);
  EXPECT_EQ(error_of(*missing).at("code"), "model_not_found");
  EXPECT_EQ(ask(router_, "DELETE", "/v1/models/a")->head.status, 405u);
  service_->list = [] { return std::vector<ModelSummary>(); };
  EXPECT_EQ(ask(router_, "GET", "/v1/models")->object().at("data"), json::array());
}

TEST_F(OpenAiApi, EmbedsTexts) {
  EXPECT_EQ(ask(router_, "POST", "/v1/embeddings", R"({"model":"m","input":"a"})")->head.status, 501u);
  EmbedRequest embedded;
  service_->embed = [&](EmbedRequest request, const std::function<void(Result<Embeddings>)>& done) -> Cancel {
    embedded = request;
    if (request.model == "x") {
      done(Error{ErrorKind::kNotFound, ""});
      return {};
    }
    Embeddings result;
    for (size_t i = 0; i < request.inputs.size(); ++i) result.vectors.push_back({0.5f, -1});
    result.usage.prompt_tokens = 7;
    done(std::move(result));
    return {};
  };
  const auto embed = [&](const std::string& more) {
    return ask(router_, "POST", "/v1/embeddings", R"({"model":"m")" + more + "}");
  };
  EXPECT_EQ(embed(R"(,"input":["a","b"])")->object(), json::parse(R"({"object":"list","data":[
    {"object":"embedding","index":0,"embedding":[0.5,-1E0]},{"object":"embedding","index":1,"embedding":[0.5,-1E0]}],
    "model":"m","usage":{"prompt_tokens":7,"total_tokens":7}})"));
  EXPECT_FALSE(embedded.truncate);
  EXPECT_EQ(embed(R"(,"input":"a","encoding_format":"base64")")->object().at("data").at(0).at("embedding"), "AAAAPwAAgL8=");
  EXPECT_NE(warnings(*embed(R"(,"input":"a","dimensions":2)")).find("dimensions="), std::string::npos);
  EXPECT_EQ(embedded.dimensions, 2u);
  for (const char* input : {"[1,2,3]", "[[1,2]]"}) {  // O19
    const auto refused = embed(fmt::format(R"(,"input":{})", input));
    EXPECT_EQ(refused->head.status, 400u);
    EXPECT_NE(error_of(*refused).at("message").as_string().find("check_embedding_ctx_length=False"), json::string::npos);
  }
  for (const char* more : {"", R"(,"input":[])", R"(,"input":5)", R"(,"input":"a","encoding_format":"x")",
                           R"(,"input":"a","dimensions":0)"})
    EXPECT_EQ(embed(more)->head.status, 400u) << more;
  EXPECT_EQ(ask(router_, "POST", "/v1/embeddings", R"({"model":"x","input":"a"})")->head.status, 404u);
}

TEST_F(OpenAiApi, RanksDocumentsByWhatAModelHoldsOfYes) {
  service_->context_tokens = [](const std::string& model) { return model == "nobody" ? 0u : 4096u; };
  service_->show = [](const std::string& model, bool) -> Result<ModelDetails> {
    ModelDetails details;
    details.summary.capabilities = {model == "judge" ? "rerank" : "completion"};
    return details;
  };
  std::map<std::string, float> chances = {{"Paris", 0.9f}, {"Oslo", 0.1f}, {"hm", -1}};  // of "yes"; -1: neither
  service_->answer = [&](const AnswerRequest& request, const AnswerSink& sink) -> Cancel {
    requests_.push_back(request);
    const std::string& content = std::get<ChatInput>(request.input).messages.back().content;
    const float yes = chances.at(content.substr(content.rfind(' ') + 1));
    AnswerEvent event = text(yes > 0.5f ? "yes" : "no");
    const auto word = [](const char* its_text, float chance) { return TokenChance{its_text, std::log(chance)}; };
    if (yes >= 0)
      event.tokens = {{word("yes", yes), {word("yes", yes), word(" No", (1 - yes) / 2), word("NO", (1 - yes) / 2)}}};
    else
      event.tokens = {{word("maybe", 1), {word("maybe", 1)}}};
    sink(accepted());
    sink(event);
    sink(end({.prompt_tokens = 10}));
    return {};
  };
  const auto rank = [&](const std::string& model, const std::string& more) {
    return ask(router_, "POST", "/v1/rerank", R"({"model":")" + model + R"(","query":"q")" + more + "}");
  };
  const std::string documents = R"(,"documents":["Oslo","hm","Paris"])";
  const json::object reply = rank("judge", documents)->object();
  const json::array& results = reply.at("results").as_array();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].at("index"), 2);
  EXPECT_NEAR(results[0].at("relevance_score").as_double(), 0.9, 1e-6);
  EXPECT_EQ(results[1].at("index"), 0);
  EXPECT_EQ(results[2].at("relevance_score"), 0.0);
  EXPECT_FALSE(results[0].as_object().contains("document"));
  EXPECT_EQ(reply.at("usage").at("total_tokens"), 30);
  EXPECT_EQ(requests_[0].settings.logprobs, 20);
  EXPECT_EQ(requests_[0].thinking.on, false);
  EXPECT_NE(std::get<ChatInput>(requests_[0].input).messages[1].content.find("<Query>: q"), std::string::npos);

  const json::object best = rank("judge", documents + R"(,"top_n":1,"return_documents":true)")->object();
  EXPECT_EQ(best.at("results"), json::parse(R"([{"index":2,"relevance_score":)" +
                                            json::serialize(results[0].at("relevance_score")) +
                                            R"(,"document":{"text":"Paris"}}])"));
  EXPECT_EQ(rank("other", documents)->head.status, 400u);
  EXPECT_EQ(rank("nobody", documents)->head.status, 404u);
  for (const char* more : {"", R"(,"documents":[])", R"(,"documents":["a"],"top_n":0)", R"(,"documents":[5])"})
    EXPECT_EQ(rank("judge", more)->head.status, 400u) << more;
}

TEST_F(OpenAiApi, PathsThatClientsMake) {
  for (const char* path : {"/v1/chat/completions", "/chat/completions", "/v1/v1/chat/completions",
                           "/v1/chat/completions/", "/v1/chat/completions?x=1"})
    EXPECT_EQ(ask(router_, "POST", path, R"({"model":"m","messages":[{"role":"user","content":"hi"}]})")->head.status, 200u)
        << path;
  const auto unknown = ask(router_, "POST", "/v1/nothing");
  EXPECT_EQ(unknown->head.status, 404u);
  EXPECT_EQ(error_of(*unknown).at("code"), "unknown_url");
  const auto wrong = ask(router_, "GET", "/v1/chat/completions");
  EXPECT_EQ(wrong->head.status, 405u);
  EXPECT_EQ(error_of(*wrong).at("code"), "method_not_supported");
  for (const char* path : {"/v1/moderations", "/v1/images/generations", "/v1/files", "/v1/assistants/x"}) {
    const auto refused = ask(router_, "POST", path, "{}");
    EXPECT_EQ(refused->head.status, 501u) << path;
    EXPECT_EQ(error_of(*refused).at("code"), "unsupported_endpoint");
    EXPECT_EQ(refused->head.headers.get("x-should-retry"), "false");
  }
}

}  // namespace
}  // namespace hearth::api::openai
