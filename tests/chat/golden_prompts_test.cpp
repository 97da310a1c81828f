// The templates of real models as a chat uses them: nothing fails, nothing is lost, and each prompt begins with the one
// before it, since the cache of a model lives on that.
#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <set>

#include "chat/byte_tokenizer.h"
#include "chat/chat_model.h"
#include "support/support.h"

namespace hearth::chat {
namespace {

namespace json = boost::json;

std::string read_text(const std::string& path) {
  const auto bytes = hearth::test::read_bytes(hearth::test::shared(path));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  if (!std::filesystem::exists(hearth::test::shared("golden/templates/expected.json"))) return {"none"};
  const json::value expected = json::parse(read_text("golden/templates/expected.json"));
  for (const auto& [name, value] : expected.at("renderings").as_object()) names.emplace_back(name);
  return names;
}

ChatModel golden_model(const std::string& name) {
  return ChatModel({.jinja = read_text("golden/templates/" + name + ".jinja"), .texts = {.bos = "<s>", .eos = "</s>"}},
                   std::make_shared<test::ByteTokenizer>());
}

const std::vector<Tool> kTools = {
    {.name = "get_weather",
     .description = "Weather of a city",
     .parameters = {{"type", "object"},
                    {"properties", {{"city", {{"type", "string"}, {"description", "Its name"}}}}},
                    {"required", json::array{"city"}}}},
    {.name = "now", .description = "The time", .parameters = {}}};

Message call(const char* id, const char* city) {
  return {.role = "assistant",
          .content = {},
          .calls = {{.id = id, .name = "get_weather", .arguments = std::string(R"({"city": ")") + city + "\"}"}}};
}
Message result(const char* id, const char* content) {
  return {.role = "tool", .content = content, .call_id = id, .tool_name = "get_weather"};
}

const std::vector<Message> kTalk = {{"system", "Be kind."},       {"user", "Question one"},
                                    {"assistant", "Answer one."}, {"user", "Question two"},
                                    {"assistant", "Answer two."}, {"user", "Question three"}};
const std::vector<Message> kTalkWithTools = {
    {"user", "Weather in Oslo?"}, call("call_1", "Oslo"), result("call_1", "sunny"), {"assistant", "It is sunny."},
    {"user", "And in Rome?"},     call("call_2", "Rome"), result("call_2", "rainy")};

std::tm at_noon() {
  std::tm now{};
  now.tm_year = 126;
  now.tm_mday = 2;
  now.tm_hour = 12;
  return now;
}

// It sets members of messages, which Jinja refuses: its golden renderings are errors too.
constexpr const char* kBroken = "MiroThinker";

class GoldenPrompts : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_SHARED("golden/templates/expected.json"); }
};

TEST_P(GoldenPrompts, NothingOfAConversationIsLost) {
  if (GetParam() == kBroken) return;
  const ChatModel model = golden_model(GetParam());
  EXPECT_TRUE(model.notes().empty());
  EXPECT_TRUE(model.capabilities().renders);
  for (const auto& messages : {kTalk, kTalkWithTools}) {
    const auto prompt = model.prompt({.messages = messages, .tools = kTools, .now = at_noon()});
    ASSERT_TRUE(prompt) << prompt.error().message;
    const std::string& text = prompt->rendered.text;
    for (const Message& message : messages) {
      EXPECT_NE(text.find(message.content), std::string::npos) << message.content << "\nin " << text;
      for (const ToolCall& made : message.calls)
        EXPECT_NE(text.find(made.arguments.substr(10, 4)), std::string::npos) << made.arguments << "\nin " << text;
    }
    EXPECT_NE(text.find("Weather of a city"), std::string::npos) << "the tools\nin " << text;
    EXPECT_EQ(text.find("None"), std::string::npos) << text;
  }
}

// Every user's message and every result of a tool that the prompt ends with.
std::vector<std::string> prompts_of(const ChatModel& model, const std::vector<Message>& messages,
                                    std::span<const Tool> tools) {
  std::vector<std::string> prompts;
  for (size_t count = 1; count <= messages.size(); ++count) {
    const std::string& role = messages[count - 1].role;
    if (role != "user" && role != "tool") continue;
    const auto prompt = model.prompt({.messages = std::span(messages).first(count), .tools = tools, .now = at_noon()});
    EXPECT_TRUE(prompt) << prompt.error().message;
    if (prompt) prompts.push_back(prompt->rendered.text);
  }
  return prompts;
}

// The end of the first prompt that the next one does not begin with, and what stands there instead; empty if there is
// none.
std::string first_change(const std::vector<std::string>& prompts) {
  for (size_t i = 1; i < prompts.size(); ++i) {
    const std::string &before = prompts[i - 1], &now = prompts[i];
    if (now.starts_with(before)) continue;
    const size_t at = static_cast<size_t>(std::ranges::mismatch(before, now).in1 - before.begin());
    return "..." + before.substr(at, 80) + " became " + now.substr(at, 80);
  }
  return {};
}

// Templates that write an earlier turn otherwise than the newest one, and what it is that they change.
constexpr const char* kThoughts = "the newest answer is opened with thoughts, which earlier ones have not";
const std::map<std::string, const char*> kChangesHistory = {
    {"Apriel-1.6-15b-Thinker-fixed", kThoughts},
    {"CohereForAI-c4ai-command-r-plus-tool_use", "the rules for calls stand behind the newest message"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", kThoughts},
    {"GLM-4.7-Flash", kThoughts},
    {"Qwen-QwQ-32B", kThoughts},
    {"StepFun3.5-Flash", kThoughts},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", kThoughts},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", kThoughts},
    {"llama-cpp-deepseek-r1", kThoughts},
    {"mistralai-Mistral-Nemo-Instruct-2407", "the system message stands before the user's newest message"}};
const std::map<std::string, const char*> kChangesHistoryWithTools = {
    {"Apertus-8B-Instruct", "an answer to a result begins anew while it is the newest, and goes on later"},
    {"Apriel-1.6-15b-Thinker-fixed", kThoughts},
    {"CohereForAI-c4ai-command-r-plus-tool_use", "the rules for calls stand behind the newest message"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", kThoughts},
    {"GLM-4.7-Flash", kThoughts},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "the line break behind the last result comes with the next turn"},
    {"Qwen-QwQ-32B", kThoughts},
    {"StepFun3.5-Flash", kThoughts},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", kThoughts},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", kThoughts},
    {"llama-cpp-deepseek-r1", kThoughts},
    {"mistralai-Mistral-Nemo-Instruct-2407", "tools stand before the user's newest message"}};

void expect_change(const ChatModel& model, const std::vector<Message>& messages, std::span<const Tool> tools,
                   const std::map<std::string, const char*>& allowed, const std::string& name) {
  const std::string change = first_change(prompts_of(model, messages, tools));
  EXPECT_EQ(change.empty(), !allowed.contains(name)) << name << ": " << change;
}

TEST_P(GoldenPrompts, EachBeginsWithTheOneBefore) {
  if (GetParam() == kBroken) return;
  const ChatModel model = golden_model(GetParam());
  expect_change(model, kTalk, {}, kChangesHistory, GetParam());
  expect_change(model, kTalkWithTools, kTools, kChangesHistoryWithTools, GetParam());
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Templates, GoldenPrompts, ::testing::ValuesIn(golden_names()), test_name);

}  // namespace
}  // namespace hearth::chat
