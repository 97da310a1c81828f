#include "chat/message.h"

#include <gtest/gtest.h>

namespace hearth::chat {
namespace {

namespace json = boost::json;

TEST(Message, IsReadAndWrittenAsJson) {
  const json::value value = json::parse(R"({"role":"assistant","content":null,"reasoning":"Look.","tool_calls":[
      {"id":"c1","type":"function","function":{"name":"temp","arguments":"{\"city\":\"Oslo\"}"}}]})");
  const auto message = message_from_json(value);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->reasoning, "Look.");
  EXPECT_EQ(
      json::serialize(to_json(*message, Arguments::kObject)),
      R"({"role":"assistant","content":"","reasoning_content":"Look.","tool_calls":[{"type":"function","function":)"
      R"({"name":"temp","arguments":{"city":"Oslo"}},"id":"c1"}]})");
  EXPECT_EQ(to_json(*message, Arguments::kText).at("tool_calls").at(0).at("function").at("arguments"),
            R"({"city":"Oslo"})");
}

TEST(Message, BlocksOfThinkingAreReasoning) {
  const auto message = message_from_json(
      json::parse(R"({"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]},)"
                  R"({"type":"thinking","thinking":"So."},{"type":"text","text":"Yes."}]})"));
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->reasoning, "Hm.\nSo.");
  EXPECT_EQ(message->content, "Yes.");
}

TEST(Message, ContentMayBeParts) {
  const auto message = message_from_json(json::parse(
      R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]})"));
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->content, "a\nb");
}

TEST(Message, SaysWhatIsWrong) {
  const auto reason = [](const char* text) {
    const auto message = message_from_json(json::parse(text));
    return message.ok() ? std::string() : message.error().message;
  };
  EXPECT_EQ(reason("3"), "a message must be an object");
  EXPECT_EQ(reason("{}"), "a message has no 'role'");
  EXPECT_EQ(reason(R"({"role":"user","content":3})"), "'content' must be a text");
  EXPECT_EQ(reason(R"({"role":"user","tool_calls":{}})"), "'tool_calls' must be a list");
  EXPECT_EQ(reason(R"({"role":"user","tool_calls":[{"function":{}}]})"), "an entry of 'tool_calls' has no 'name'");
  EXPECT_FALSE(tools_from_json(json::parse(R"([{"function":{"name":"f","parameters":[]}}])")).ok());
}

TEST(Tools, KeepTheOrderOfTheirParameters) {
  const auto tools = tools_from_json(json::parse(
      R"([{"type":"function","function":{"name":"f","parameters":{"properties":{"z":{},"a":{},"m":{}}}}}])"));
  ASSERT_TRUE(tools.ok());
  EXPECT_EQ(json::serialize(to_json(tools->at(0))),
            R"({"type":"function","function":{"name":"f","parameters":{"properties":{"z":{},"a":{},"m":{}}}}})");
}

}  // namespace
}  // namespace hearth::chat
