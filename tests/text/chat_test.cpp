#include "text/chat.h"

#include <gtest/gtest.h>

#include <set>

#include "boost/json.hpp"
#include "support/support.h"

namespace hearth::text {
namespace {

const std::vector<Message> kConversation = {
    {"system", "Be kind."}, {"user", "A"}, {"assistant", "B"}, {"user", " C\n"}};

const ChatTemplate& family(const std::string& name) {
  for (const ChatTemplate& entry : all_chat_templates())
    if (entry.name == name) return entry;
  throw std::runtime_error("no family " + name);
}

TEST(ChatTemplate, WritesEachMessageAsATurn) {
  EXPECT_EQ(family("chatml").render(kConversation),
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nA<|im_end|>\n"
            "<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\n C\n<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, PutsTheSystemMessageIntoTheUsersWhereThereIsNoSuchRole) {
  EXPECT_EQ(family("llama2").render(kConversation),
            "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]");
  EXPECT_EQ(family("mistral-v3").render(kConversation), "[INST] A[/INST] B</s>[INST] Be kind.\n\n C\n[/INST]");
  EXPECT_EQ(family("gemma").render(kConversation),
            "<start_of_turn>user\nBe kind.\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n"
            "<start_of_turn>user\nC<end_of_turn>\n<start_of_turn>model\n");
}

TEST(ChatTemplate, LosesNoSystemMessage) {
  const std::vector<Message> only_system = {{"system", "Be kind."}};
  for (const ChatTemplate& entry : all_chat_templates())
    EXPECT_NE(entry.render(only_system).find("Be kind."), std::string::npos) << entry.name;
}

TEST(ChatTemplate, AddsTheDefaultSystemMessageOnlyWhereThereIsNone) {
  const std::vector<Message> plain = {{"user", "Hi"}};
  EXPECT_EQ(family("qwen2.5").render(plain),
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(family("qwen2.5").render(kConversation).find("Alibaba"), std::string::npos);
}

TEST(ChatTemplate, ForgetsTheThinkingOfEarlierAnswers) {
  const std::vector<Message> messages = {
      {"user", "2+2?"}, {"assistant", "<think>\neasy\n</think>\n\n4"}, {"user", "3+3?"}};
  EXPECT_EQ(family("qwen3").render(messages),
            "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n4<|im_end|>\n"
            "<|im_start|>user\n3+3?<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, IsRecognisedByTheMostMarks) {
  EXPECT_STREQ(recognise_chat_template("{{'<|im_start|>' + role}}")->name, "chatml");
  EXPECT_STREQ(recognise_chat_template("'[INST] ' <<SYS>>")->name, "llama2");
  EXPECT_EQ(recognise_chat_template("{{ something else }}"), nullptr);
  EXPECT_EQ(recognise_chat_template(""), nullptr);
}

TEST(ChatTemplate, HasAName) {
  std::set<std::string> names, marks;
  for (const ChatTemplate& entry : all_chat_templates()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    std::string all;
    for (const auto mark : entry.marks) (all += mark) += '\0';
    EXPECT_TRUE(marks.insert(all).second) << entry.name << " has the marks of another family";
  }
}

TEST(ChatTemplate, IsFoundInAModelFile) {
  REQUIRE_SHARED("models/vocab");
  const auto phi3 = gguf::File::open(test::shared("models/vocab/ggml-vocab-phi-3.gguf"));
  ASSERT_TRUE(phi3) << phi3.error().message;
  ASSERT_NE(find_chat_template(**phi3), nullptr);
  EXPECT_STREQ(find_chat_template(**phi3)->name, "phi3");
  const auto gpt2 = gguf::File::open(test::shared("models/vocab/ggml-vocab-gpt-2.gguf"));
  ASSERT_TRUE(gpt2) << gpt2.error().message;
  EXPECT_EQ(find_chat_template(**gpt2), nullptr);
}

// The templates of real models, with what the reference interpreter makes of conversations.
struct Golden {
  const char* file;
  const char* family;
  std::vector<const char*> cases;
};

const std::vector<const char*> kAll = {"user", "system", "turns", "system_turns"};
const std::vector<const char*> kWithSystem = {"system", "system_turns"};  // the default one is the model's own

class GoldenChat : public testing::TestWithParam<Golden> {};

TEST_P(GoldenChat, GivesTheReferenceText) {
  REQUIRE_SHARED("golden/templates");
  const auto read = [](const std::string& name) {
    const auto bytes = test::read_bytes(test::shared("golden/templates/" + name));
    return std::string(bytes.begin(), bytes.end());
  };
  const auto golden = boost::json::parse(read("expected.json"));
  const ChatTemplate* found = recognise_chat_template(read(std::string(GetParam().file) + ".jinja"));
  ASSERT_NE(found, nullptr);
  EXPECT_STREQ(found->name, GetParam().family);
  for (const char* name : GetParam().cases) {
    std::vector<Message> messages;
    for (const auto& message : golden.at("cases").at(name).at("messages").as_array())
      messages.push_back({std::string(message.at("role").as_string()), std::string(message.at("content").as_string())});
    std::string expected(
        golden.at("renderings").at(GetParam().file).at(std::string(name) + "+gen").at("text").as_string());
    if (expected.starts_with("<s>")) expected.erase(0, 3);  // the tokenizer's part
    // Llama 3.2 asks for the current date; here every day is the template's own default.
    if (const size_t at = expected.find("02 Jan 2026"); at != std::string::npos)
      expected.replace(at, 11, "26 Jul 2024");
    EXPECT_EQ(found->render(messages), expected) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Real, GoldenChat,
    testing::Values(Golden{"Bielik-11B-v3.0-Instruct", "qwen3", kAll}, Golden{"LFM2-8B-A1B", "chatml", kAll},
                    Golden{"Qwen-Qwen2.5-7B-Instruct", "qwen2.5", kAll}, Golden{"Qwen-Qwen3-0.6B", "qwen3", kAll},
                    Golden{"Qwen3-Coder", "chatml", kAll}, Golden{"MiMo-VL", "chatml", kWithSystem},
                    Golden{"meta-llama-Llama-3.1-8B-Instruct", "llama3.1", kAll},
                    Golden{"meta-llama-Llama-3.2-3B-Instruct", "llama3.1", kAll},
                    Golden{"mistralai-Mistral-Nemo-Instruct-2407", "mistral-v3-tekken", kAll},
                    Golden{"mistralai-Ministral-3-14B-Reasoning-2512", "mistral-v7-tekken", kWithSystem},
                    Golden{"unsloth-mistral-Devstral-Small-2507", "mistral-v7-tekken", kWithSystem},
                    Golden{"google-gemma-2-2b-it", "gemma", {"user", "turns"}},
                    Golden{"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-r1", kAll}),
    [](const auto& test_case) {
      std::string name = test_case.param.file;
      for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
      return name;
    });

}  // namespace
}  // namespace hearth::text
