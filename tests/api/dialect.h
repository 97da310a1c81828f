// The fixture of the dialects' tests: a service that answers with the events that the test says.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fake.h"

namespace hearth::api::test {

using hearth::test::ask;
using hearth::test::FakeExchange;
using Kind = chat::Delta::Kind;

class DialectTest : public testing::Test {
 protected:
  DialectTest() {
    service_->version = "0.40.0";
    service_->answer = [this](AnswerRequest request, AnswerSink sink) -> Cancel {
      request_ = request;
      requests_.push_back(std::move(request));
      sink_ = sink;
      for (const AnswerEvent& event : events_) sink(event);
      return [this] { ++cancelled_; };
    };
    service_->list = [] { return std::vector<ModelSummary>(); };
    events_ = {accepted(),
               {.deltas = {{.kind = Kind::kReasoning, .text = "hm"}}},
               {.deltas = {{.kind = Kind::kContent, .text = "He"}}},
               {.deltas = {{.kind = Kind::kContent, .text = "llo"}}},
               end({.prompt_tokens = 12, .cached_tokens = 8, .generated_tokens = 3, .reasoning_tokens = 1,
                    .total = std::chrono::nanoseconds(5)})};
  }

  static AnswerEvent accepted() {
    AnswerEvent event;
    event.accepted = true;
    event.begin = AnswerBegin{.prompt_tokens = 12};
    return event;
  }
  static AnswerEvent text(const std::string& content) {
    AnswerEvent event;
    event.deltas = {{.kind = Kind::kContent, .text = content}};
    return event;
  }
  static AnswerEvent end(Usage usage = {}, AnswerEnd::Reason reason = AnswerEnd::Reason::kStop) {
    AnswerEvent event;
    event.end = AnswerEnd{.reason = reason, .usage = usage, .context = {1, 2}};
    return event;
  }
  static AnswerEvent failed(ErrorKind kind, const std::string& message) {
    AnswerEvent event = end({}, AnswerEnd::Reason::kError);
    event.end->error = Error{kind, message};
    return event;
  }
  // Two calls; the second has no arguments.
  static std::vector<AnswerEvent> calls(AnswerEnd::Reason reason = AnswerEnd::Reason::kStop) {
    return {accepted(),
            {.deltas = {{.kind = Kind::kCallBegin, .id = "call_1", .name = "get_weather"},
                        {.kind = Kind::kArguments, .text = R"({"city":)"}}},
            {.deltas = {{.kind = Kind::kArguments, .text = R"("Oslo"})"}, {.kind = Kind::kCallEnd}}},
            {.deltas = {{.kind = Kind::kCallBegin, .index = 1, .id = "call_2", .name = "now"},
                        {.kind = Kind::kArguments, .text = "{}", .index = 1},
                        {.kind = Kind::kCallEnd, .index = 1}}},
            end({}, reason)};
  }
  const ChatInput& chat_input() const { return std::get<ChatInput>(request_.input); }
  const TextInput& text_input() const { return std::get<TextInput>(request_.input); }
  sampling::Options options() const {
    sampling::Options options;
    EXPECT_TRUE(apply(request_.settings, options));
    return options;
  }

  std::shared_ptr<Service> service_ = std::make_shared<Service>();
  Router router_;
  std::vector<AnswerEvent> events_;
  AnswerRequest request_;  // the last
  std::vector<AnswerRequest> requests_;
  AnswerSink sink_;
  int cancelled_ = 0;
};

// An event of a stream of server-sent events.
struct StreamEvent {
  std::string type;  // empty: none
  boost::json::value data;
};

// Those of a body; "[DONE]" is a string.
inline std::vector<StreamEvent> stream_events(std::string_view body) {
  std::vector<StreamEvent> events;
  for (size_t end; (end = body.find("\n\n")) != std::string_view::npos; body.remove_prefix(end + 2)) {
    StreamEvent event;
    std::string_view block = body.substr(0, end);
    if (block.starts_with("event: ")) {
      event.type = block.substr(7, block.find('\n') - 7);
      block.remove_prefix(block.find('\n') + 1);
    }
    EXPECT_TRUE(block.starts_with("data: ")) << block;
    block.remove_prefix(6);
    event.data = block == "[DONE]" ? boost::json::value("[DONE]") : boost::json::parse(boost::json::string_view(block.data(), block.size()));
    events.push_back(std::move(event));
  }
  EXPECT_EQ(body, "") << "all of it belongs to events";
  return events;
}

}  // namespace hearth::api::test
