#include "store/modelfile.h"

#include <gtest/gtest.h>

namespace hearth::store {
namespace {

namespace json = boost::json;

Modelfile parse(const std::string& text) {
  auto parsed = parse_modelfile(text);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  return parsed ? std::move(*parsed) : Modelfile();
}

void expect_refused(const std::string& text, const std::string& message, ErrorKind kind = ErrorKind::kUsage) {
  const auto parsed = parse_modelfile(text);
  ASSERT_FALSE(parsed.ok()) << text;
  EXPECT_NE(parsed.error().message.find(message), std::string::npos) << parsed.error().message;
  EXPECT_EQ(parsed.error().kind, kind);
}

TEST(Modelfiles, HaveEveryInstructionInAnyOrderAndCase) {
  const Modelfile file = parse(R"(# a comment
system You are brief.
PARAMETER temperature 0.3
parameter num_ctx 4096
PARAMETER stop <|end|>
PARAMETER stop "a b"
PARAMETER use_mmap true
FROM ./llama.gguf
FROM ./mmproj.gguf
TEMPLATE {{ .Prompt }}
MESSAGE user Hello # not a comment
MESSAGE Assistant Hi!
LICENSE MIT
LICENSE "Apache 2"
REQUIRES 0.6.1
RENDERER qwen3-coder
PARSER qwen3-coder
)");
  EXPECT_EQ(file.from, (std::vector<std::string>{"./llama.gguf", "./mmproj.gguf"}));
  EXPECT_EQ(file.system, "You are brief.");
  EXPECT_EQ(file.template_text, "{{ .Prompt }}");
  EXPECT_EQ(file.parameters,
            json::parse(R"({"temperature":0.3,"num_ctx":4096,"stop":["<|end|>","a b"],"use_mmap":true})").as_object());
  ASSERT_EQ(file.messages.size(), 2u);
  EXPECT_EQ(file.messages[0].content, "Hello # not a comment");
  EXPECT_EQ(file.messages[1].role, "assistant");
  EXPECT_EQ(file.licenses, (std::vector<std::string>{"MIT", "Apache 2"}));
  EXPECT_EQ(file.minimum_version, "0.6.1");
  EXPECT_EQ(file.renderer, "qwen3-coder");
  EXPECT_EQ(file.parser, "qwen3-coder");
  EXPECT_TRUE(file.notes.empty());
}

// As Ollama's parser reads them.
TEST(Modelfiles, QuotedTextsEndWhereALineDoes) {
  const auto system = [](const std::string& text) { return parse("FROM a\nSYSTEM " + text).system.value_or("(none)"); };
  EXPECT_EQ(system("\"\"\"\nTwo\nlines.\n\"\"\"\n"), "\nTwo\nlines.\n");
  EXPECT_EQ(system("\"\"\"one\"\"\""), "one");
  EXPECT_EQ(system("\"\"\"\"\"\""), "");
  EXPECT_EQ(system("\"\""), "");
  EXPECT_EQ(system("\"He said \"hi\" to me\"  \n"), "He said \"hi\" to me");
  EXPECT_EQ(system("\"over\ntwo lines\""), "over\ntwo lines");
  EXPECT_EQ(system("\"\"\"# not a comment\n\nFROM b\n\"\"\""), "# not a comment\n\nFROM b\n");
  EXPECT_EQ(system("'single quotes stay'"), "'single quotes stay'");
  EXPECT_EQ(system("\"\"\"from\r\nWindows\"\"\"\r\n"), "from\nWindows");
  EXPECT_EQ(parse("FROM a\nMESSAGE user \"\"\"x\ny\"\"\"\nSYSTEM s").messages[0].content, "x\ny");
}

TEST(Modelfiles, SayWhatIsWrongAndWhere) {
  expect_refused("", "no FROM line");
  expect_refused("# nothing\n\n", "no FROM line");
  expect_refused("FROM", "(line 1): FROM needs a value");
  expect_refused("FROM \"\"", "(line 1): FROM needs a value");
  expect_refused("\n\nFORM a", "(line 3): 'FORM' is no instruction; there are FROM, PARAMETER");
  expect_refused("FROM a\nPARAMETER", "(line 2): PARAMETER needs a name");
  expect_refused("FROM a\nPARAMETER top_k", "(line 2): PARAMETER needs a value");
  expect_refused("FROM a\nPARAMETER top_kk 3", "(line 2): unknown parameter 'top_kk'; did you mean 'top_k'?");
  expect_refused("FROM a\nPARAMETER top_k many", "parameter 'top_k' is 'many'; expected a whole number");
  expect_refused("FROM a\nPARAMETER top_k 1.5", "expected a whole number");
  expect_refused("FROM a\nPARAMETER temperature hot", "expected a number");
  expect_refused("FROM a\nPARAMETER temperature nan", "expected a number");
  expect_refused("FROM a\nPARAMETER use_mmap 1", "expected true or false");
  expect_refused("FROM a\nMESSAGE robot hi", "'robot' is no role");
  expect_refused("FROM a\nMESSAGE user", "MESSAGE needs a value");
  expect_refused("FROM a\nSYSTEM \"\"\"never\nends",
                 "(line 2): the text of SYSTEM that begins here has no closing \"\"\"");
  expect_refused("FROM a\nREQUIRES new", "is no version");
  expect_refused("FROM a\nADAPTER ./lora.gguf", "(line 2): ADAPTER: adapters (LoRA) are not supported",
                 ErrorKind::kUnsupported);
  expect_refused("FROM a\nDRAFT ./small.gguf", "DRAFT", ErrorKind::kUnsupported);
  expect_refused(std::string("\xff\xfe"
                             "F\0R\0",
                             6),
                 "written in UTF-16; save it as UTF-8");
}

TEST(Modelfiles, LeaveOutWhatIsOfNoUseAnyMore) {
  const Modelfile file = parse(
      "\xEF\xBB\xBF"
      "FROM a\nPARAMETER mirostat 1\nPARAMETER top_k 1\nPARAMETER top_k 2");
  EXPECT_EQ(file.parameters, json::parse(R"({"top_k":2})").as_object());
  ASSERT_EQ(file.notes.size(), 1u);
  EXPECT_EQ(file.notes[0], "parameter 'mirostat' is of no use any more and is left out");
}

}  // namespace
}  // namespace hearth::store
