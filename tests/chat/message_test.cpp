#include "chat/message.h"

#include <gtest/gtest.h>

#include "chat/exact_json.h"
#include "chat/message_form.h"

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

TEST(ExactJson, LargeIntegersKeepTheirDigits) {
  const char* given =
      R"({"a":[18446744073709551616,-9223372036854775809,18446744073709551615,1.5,"18446744073709551616"],)"
      R"("b\"":123456789012345678901234567890})";
  boost::system::error_code failed;
  EXPECT_EQ(serialize_exact(parse_exact(given, failed)),
            R"({"a":[18446744073709551616,-9223372036854775809,18446744073709551615,1.5E0,"18446744073709551616"],)"
            R"("b\"":123456789012345678901234567890})");
  EXPECT_FALSE(failed);
  // Texts that only look like it, and what is no JSON.
  for (const char* text : {R"(["\u0001","\u0001x","x\\\u000112","\u00011e5"])", R"({"\\":"\u0001-"})"})
    EXPECT_EQ(serialize_exact(parse_exact(text, failed)), text);
  parse_exact("[123456789012345678901234567890", failed);
  EXPECT_TRUE(failed);
  EXPECT_FALSE(mark_large_integers(R"({"a":1234567890123456789,"b":1e400,"c":"9999999999999999999999)"));
}

TEST(ExactJson, ToolsReachTemplatesWithTheirDigits) {
  boost::system::error_code failed;
  const auto tools = tools_from_json(parse_exact(
      R"([{"name":"f","parameters":{"type":"object","properties":{"a":{"maximum":100000000000000000000}}}}])", failed));
  ASSERT_TRUE(tools);
  EXPECT_NE(tools_json(*tools, {}).find(R"("maximum":100000000000000000000})"), std::string::npos);
}

}  // namespace
}  // namespace hearth::chat
