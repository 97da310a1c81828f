#include "text/chat.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// What a family is recognised by, and what it makes of kConversation: as the makers of its models publish it.
struct Text {
  const char *family, *source, *rendering;
};

#define DEEPSEEK_USER "<\uFF5CUser\uFF5C>"
#define DEEPSEEK_ASSISTANT "<\uFF5CAssistant\uFF5C>"
#define DEEPSEEK_END "<\uFF5Cend\u2581of\u2581sentence\uFF5C>"

const Text kTexts[] = {
    {"chatml", "{{'<|im_start|>' + role}}",
     "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nA<|im_end|>\n"
     "<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\n C\n<|im_end|>\n<|im_start|>assistant\n"},
    {"qwen2", "'<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n'",
     "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nA<|im_end|>\n"
     "<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\n C\n<|im_end|>\n<|im_start|>assistant\n"},
    {"smollm2",
     "'<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n'",
     "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nA<|im_end|>\n"
     "<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\n C\n<|im_end|>\n<|im_start|>assistant\n"},
    {"phi4", "'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'",
     "<|im_start|>system<|im_sep|>Be kind.<|im_end|><|im_start|>user<|im_sep|>A<|im_end|>"
     "<|im_start|>assistant<|im_sep|>B<|im_end|><|im_start|>user<|im_sep|> C\n<|im_end|>"
     "<|im_start|>assistant<|im_sep|>"},
    {"phi4-mini", "'<|' + message['role'] + '|>' + message['content'] + '<|end|>' ... '<|assistant|>'",
     "<|system|>Be kind.<|end|><|user|>A<|end|><|assistant|>B<|end|><|user|> C\n<|end|><|assistant|>"},
    {"phi3", "'<|user|>\n' + message['content'] + '<|end|>\n<|assistant|>\n'",
     "<|system|>\nBe kind.<|end|>\n<|user|>\nA<|end|>\n<|assistant|>\nB<|end|>\n<|user|>\n C\n<|end|>\n"
     "<|assistant|>\n"},
    {"zephyr", "'<|user|>\n' + message['content'] + eos_token ... '<|assistant|>'",
     "<|system|>\nBe kind.</s>\n<|user|>\nA</s>\n<|assistant|>\nB</s>\n<|user|>\n C\n</s>\n<|assistant|>\n"},
    {"stablelm-zephyr", "'<|user|>\n' + message['content'] + '<|endoftext|>\n<|assistant|>\n'",
     "<|system|>\nBe kind.<|endoftext|>\n<|user|>\nA<|endoftext|>\n<|assistant|>\nB<|endoftext|>\n"
     "<|user|>\n C\n<|endoftext|>\n<|assistant|>\n"},
    {"llama2", "'[INST] ' <<SYS>>", "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]"},
    {"llama3", "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'",
     "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
     "<|start_header_id|>user<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nB<|eot_"
     "id|>"
     "<|start_header_id|>user<|end_header_id|>\n\nC<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
    {"mistral", "'[INST]' + message['content']", "[INST] Be kind.\n\nA [/INST]B</s>[INST]  C\n [/INST]"},
    {"mistral-v1", "' [INST] ' + message['content'] + ' [/INST]'",
     " [INST] Be kind.\n\nA [/INST] B</s> [INST]  C\n [/INST]"},
    {"mistral-v3", "'[AVAILABLE_TOOLS] [' ... '[INST] ' + message['content']",
     "[INST] A[/INST] B</s>[INST] Be kind.\n\n C\n[/INST]"},
    {"mistral-v7", "'[SYSTEM_PROMPT] ' + content + '[/SYSTEM_PROMPT]' ... '[INST] '",
     "[SYSTEM_PROMPT] Be kind.[/SYSTEM_PROMPT][INST] A[/INST] B</s>[INST]  C\n[/INST]"},
    {"gemma", "'<start_of_turn>' + role",
     "<start_of_turn>user\nBe kind.\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n"
     "<start_of_turn>user\nC<end_of_turn>\n<start_of_turn>model\n"},
    {"deepseek-coder", "'### Instruction:\n' + content ... '### Response:\n' + content + '\n<|EOT|>\n'",
     "Be kind.### Instruction:\nA\n### Response:\nB\n<|EOT|>\n### Instruction:\n C\n\n### Response:\n"},
    {"deepseek2", "'User: ' + message['content'] + '\n\n' ... 'Assistant: ' + message['content'] + eos_token",
     "Be kind.\n\nUser: A\n\nAssistant: B" DEEPSEEK_END "User:  C\n\n\nAssistant:"},
    {"deepseek3", "'" DEEPSEEK_USER "' + content ... '" DEEPSEEK_ASSISTANT "' + content",
     "Be kind." DEEPSEEK_USER "A" DEEPSEEK_ASSISTANT "B" DEEPSEEK_END DEEPSEEK_USER " C\n" DEEPSEEK_ASSISTANT},
    {"vicuna", "'USER: ' + content ... 'ASSISTANT: ' + content + eos_token",
     "Be kind.\n\nUSER: A\nASSISTANT: B</s>\nUSER:  C\n\nASSISTANT:"},
    {"alpaca", "'### Instruction:\n' + content ... '### Response:\n' + content + eos_token",
     "Be kind.\n\n### Instruction:\nA\n\n### Response:\nB</s>\n\n### Instruction:\n C\n\n\n### Response:\n"},
    {"openchat", "'GPT4 Correct ' + message['role'].title() + ': ' + message['content'] + '<|end_of_turn|>'",
     "Be kind.<|end_of_turn|>GPT4 Correct User: A<|end_of_turn|>GPT4 Correct Assistant: B<|end_of_turn|>"
     "GPT4 Correct User:  C\n<|end_of_turn|>GPT4 Correct Assistant:"},
    {"command-r", "'<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>'",
     "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be kind.<|END_OF_TURN_TOKEN|>"
     "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>A<|END_OF_TURN_TOKEN|>"
     "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>B<|END_OF_TURN_TOKEN|>"
     "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>C<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"},
    {"dialogpt", "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}",
     "Be kind.<|endoftext|>A<|endoftext|>B<|endoftext|> C\n<|endoftext|>"},
};

TEST(ChatTemplate, WritesAConversationAsItsModelsWereTrained) {
  for (const Text& text : kTexts) {
    const ChatTemplate* found = recognise_chat_template(text.source);
    ASSERT_NE(found, nullptr) << text.family;
    EXPECT_STREQ(found->name, text.family);
    EXPECT_EQ(family(text.family).render(kConversation), text.rendering) << text.family;
  }
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
  for (const auto& [name, system] :
       {std::pair("qwen2", "You are a helpful assistant."),
        {"smollm2", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"}}) {
    EXPECT_EQ(family(name).render(plain), std::string("<|im_start|>system\n") + system +
                                              "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  }
  EXPECT_TRUE(
      family("deepseek-coder").render(plain).starts_with("You are an AI programming assistant, utilizing the "));
}

TEST(ChatTemplate, ForgetsTheThinkingOfEarlierAnswers) {
  const std::vector<Message> messages = {
      {"user", "2+2?"}, {"assistant", "<think>\neasy\n</think>\n\n4"}, {"user", "3+3?"}};
  EXPECT_EQ(family("qwen3").render(messages),
            "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n4<|im_end|>\n"
            "<|im_start|>user\n3+3?<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, OfNoFamilyIsNotRecognised) {
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

const Golden kGoldens[] = {
    {"Bielik-11B-v3.0-Instruct", "qwen3", kAll},
    {"LFM2-8B-A1B", "chatml", kAll},
    {"Qwen-Qwen2.5-7B-Instruct", "qwen2.5", kAll},
    {"Qwen-Qwen3-0.6B", "qwen3", kAll},
    {"Qwen3-Coder", "chatml", kAll},
    {"MiMo-VL", "chatml", kWithSystem},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama3.1", kAll},
    {"meta-llama-Llama-3.2-3B-Instruct", "llama3.1", kAll},
    {"mistralai-Mistral-Nemo-Instruct-2407", "mistral-v3-tekken", kAll},
    {"mistralai-Ministral-3-14B-Reasoning-2512", "mistral-v7-tekken", kWithSystem},
    {"unsloth-mistral-Devstral-Small-2507", "mistral-v7-tekken", kWithSystem},
    {"google-gemma-2-2b-it", "gemma", {"user", "turns"}},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-r1", kAll},
};

TEST(ChatTemplate, OfEveryFamilyIsTested) {
  for (const ChatTemplate& entry : all_chat_templates()) {
    const auto is_it = [&](const auto& tested) { return entry.name == std::string_view(tested.family); };
    EXPECT_TRUE(std::ranges::any_of(kTexts, is_it) || std::ranges::any_of(kGoldens, is_it)) << entry.name;
  }
}

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

INSTANTIATE_TEST_SUITE_P(Real, GoldenChat, testing::ValuesIn(kGoldens), [](const auto& test_case) {
  std::string name = test_case.param.file;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

}  // namespace
}  // namespace hearth::text
