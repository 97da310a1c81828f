#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "chat/chat_testing.h"
#include "chat/generic.h"
#include "support/support.h"

namespace hearth::chat::test {
namespace {

const std::map<std::string, std::string> kGolden = {
    {"Apertus-8B-Instruct", "apertus"},
    {"Apriel-1.6-15b-Thinker-fixed", "apriel"},
    {"Bielik-11B-v3.0-Instruct", "hermes"},
    {"CohereForAI-c4ai-command-r-plus-tool_use", "command-r"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command-a"},
    {"GLM-4.6", "glm"},
    {"GLM-4.7-Flash", "glm"},
    {"GigaChat3.1-10B-A1.8B", "gigachat"},
    {"Kimi-K2-Instruct", "kimi-k2"},
    {"LFM2-8B-A1B", "lfm2"},
    {"MiMo-VL", "hermes"},
    {"MiroThinker", "mirothinker"},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes"},
    {"Qwen-QwQ-32B", "hermes"},
    {"Qwen-Qwen2.5-7B-Instruct", "hermes"},
    {"Qwen-Qwen3-0.6B", "hermes"},
    {"Qwen3-Coder", "qwen-xml"},
    {"Reka-Edge", "hermes"},
    {"StepFun3.5-Flash", "qwen-xml"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-V3.1", "deepseek-v3.1"},
    {"deepseek-ai-DeepSeek-V4", "deepseek-v4"},
    {"fireworks-ai-llama-3-firefunction-v2", "firefunction"},
    {"google-gemma-2-2b-it", "gemma"},
    {"llama-cpp-deepseek-r1", "deepseek-r1"},
    {"llama-cpp-rwkv-world", "plain"},
    {"meetkai-functionary-medium-v3.1", "functionary-3.1"},
    {"meetkai-functionary-medium-v3.2", "functionary-3.2"},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama3"},
    {"meta-llama-Llama-3.2-3B-Instruct", "llama3"},
    {"mistralai-Ministral-3-14B-Reasoning-2512", "mistral-v13"},
    {"mistralai-Mistral-Nemo-Instruct-2407", "mistral-v3"},
    {"moonshotai-Kimi-K2", "kimi-k2"},
    {"openai-gpt-oss-120b", "gpt-oss"},
    {"unsloth-Apriel-1.5", "apriel"},
    {"unsloth-mistral-Devstral-Small-2507", "mistral-v13"},
};

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Recognition, PublishedTemplatesAreOfTheirFamilies) {
  REQUIRE_SHARED("golden/templates");
  for (const auto& [name, family] : kGolden) {
    const std::string text = text_of(::hearth::test::shared("golden/templates") / (name + ".jinja"));
    ASSERT_FALSE(text.empty()) << name;
    EXPECT_EQ(recognise({.template_text = text}).family->name, family) << name;
  }
}

TEST(Recognition, ReasoningIsFoundApartFromTheFamily) {
  const auto opens = [](const Facts& facts) {
    std::string out;
    for (const Thinking& thinking : recognise(facts).thinking) out += std::string(thinking.opens) + " ";
    return out;
  };
  EXPECT_EQ(opens({.template_text = "<|im_start|> <tool_call>"}), "");
  EXPECT_EQ(opens({.template_text = "<|im_start|> <tool_call> split('</think>')"}), "<think> ");
  EXPECT_EQ(opens({.template_text = "<|im_start|>", .vocabulary = {{1, "<think>"}, {2, "</think>"}}}), "<think> ");
  EXPECT_EQ(opens({.template_text = "[TOOL_CALLS]"}), "");
  EXPECT_EQ(opens({.template_text = "[TOOL_CALLS] [/THINK]"}), "[THINK] ");
}

TEST(Recognition, WithoutATemplateTheVocabularyDecides) {
  const auto family = [](std::vector<SpecialToken> vocabulary, std::string template_text = {}) {
    return std::string(
        recognise({.template_text = std::move(template_text), .vocabulary = std::move(vocabulary)}).family->name);
  };
  EXPECT_EQ(family({{1, "<|im_start|>"}}), "chatml");
  EXPECT_EQ(family({{1, "<|im_start|>"}, {2, "<tool_call>"}}), "hermes");
  EXPECT_EQ(family({{1, "<|im_start|>"}, {2, "<|im_sep|>"}}), "phi4");
  EXPECT_EQ(family({{1, "<|start_header_id|>"}}), "llama3");
  EXPECT_EQ(family({{1, "<|start|>"}, {2, "<|channel|>"}}), "gpt-oss");
  EXPECT_EQ(family({{1, "<s>"}}), "plain");
  // The template shows no tools, but the model was trained on them.
  EXPECT_EQ(family({{1, "[TOOL_CALLS]"}}, "[INST] {{ x }} [/INST]"), "mistral-v3");
}

TEST(Recognition, NoTwoFamiliesHaveOneNameOrRank) {
  std::set<std::string> names;
  std::set<int> ranks;
  for (const Family* family : RegisterFamily::all()) {
    EXPECT_TRUE(names.insert(family->name).second) << family->name;
    EXPECT_TRUE(ranks.insert(family->rank).second) << family->name;
  }
  EXPECT_GT(names.size(), 40u);
}

TEST(Recognition, OllamasParsersAreFamilies) {
  const std::pair<const char*, const char*> expected[] = {{"qwen3", "hermes"},          {"qwen3-coder", "qwen-xml"},
                                                          {"harmony", "gpt-oss"},       {"deepseek3", "deepseek-v3.1"},
                                                          {"gemma4", "gemma4"},         {"glm-4.7", "glm"},
                                                          {"lfm2-thinking", "lfm2"},    {"olmo3-think", "olmo3"},
                                                          {"ministral", "mistral-v13"}, {"cohere", "cohere2-moe"},
                                                          {"passthrough", "plain"}};
  for (const auto& [parser, family] : expected) {
    const Family* found = find_family_of_parser(parser);
    ASSERT_NE(found, nullptr) << parser;
    EXPECT_STREQ(found->name, family) << parser;
  }
  EXPECT_EQ(find_family_of_parser("no-such"), nullptr);
  EXPECT_EQ(find_family_of_parser(""), nullptr);
}

TEST(EndTokens, AreTheFamilysOwnThatTheVocabularyHas) {
  const std::vector<std::string> vocabulary = {"a", "<|user|>", "<|observation|>", "<turn|>", "<|END_OF_TURN_TOKEN|>"};
  const auto find = [&](std::string_view text) {
    const auto at = std::find(vocabulary.begin(), vocabulary.end(), text);
    return at == vocabulary.end() ? text::kNoToken : static_cast<text::Token>(at - vocabulary.begin());
  };
  using Tokens = std::vector<text::Token>;
  EXPECT_EQ(end_tokens(*find_family("glm"), find), (Tokens{1, 2}));
  EXPECT_EQ(end_tokens(*find_family("gemma4"), find), (Tokens{3}));
  EXPECT_EQ(end_tokens(*find_family("command-a"), find), (Tokens{4}));
  EXPECT_EQ(end_tokens(*find_family("plain"), find), Tokens{});
}

TEST(Generic, TheInstructionNamesEveryTool) {
  const auto tools = tools_from_json(boost::json::parse(
      R"([{"name":"f","parameters":{"type":"object","properties":{"q":{"type":"string"}}}},{"name":"g"}])"));
  const std::string text = generic_instruction(*tools);
  EXPECT_NE(text.find(R"({"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"q":)"),
            std::string::npos);
  EXPECT_NE(text.find(R"("name":"g")"), std::string::npos);
}

}  // namespace
}  // namespace hearth::chat::test
