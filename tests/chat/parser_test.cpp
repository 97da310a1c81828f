// What holds for the parsers of all families.
#include "chat/parser.h"

#include <gtest/gtest.h>

#include "chat/chat_testing.h"

namespace hearth::chat::test {
namespace {

uint64_t examined(const Format& format, const std::string& answer, size_t piece) {
  Parser parser(format, {.tools = tools()});
  const Sink none = [](const Delta&) {};
  for (size_t i = 0; i < answer.size(); i += piece) parser.feed({std::string_view(answer).substr(i, piece)}, none);
  parser.finish(Ending::kStop, none);
  return parser.examined_bytes();
}

std::string repeated(const std::string& text, size_t times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

// Twice the answer takes about twice the work, whatever it consists of: no answer is scanned again for every token.
TEST(Parser, WorkIsLinearInTheAnswer) {
  for (const Family* family : RegisterFamily::all()) {
    const Format format = format_of(family->name);
    for (const char* text :
         {"word ", "<", "  \n", "<tool_call>", "{\"a\": ", "```json\n{\"name\": \"temp\", ", "<think>",
          "<tool_call>{\"name\": \"temp\", \"arguments\": {\"city\": \"x", "<function=temp>\n<parameter=city>\nx",
          "</parameter>\n ", "[TOOL_CALLS]temp[ARGS]{\"city\": \"", "<|channel|>", "[temp(city='", "\xF0"}) {
      for (const size_t piece : {1, 7}) {
        const uint64_t once = examined(format, repeated(text, 400), piece);
        const uint64_t twice = examined(format, repeated(text, 800), piece);
        EXPECT_LT(twice, 5 * once / 2 + 10000) << family->name << ": " << text;
      }
    }
  }
}

// A marker that is a token counts as that token only; spelled out, it is text.
TEST(Parser, AMarkerThatIsATokenIsNoText) {
  const Format format =
      recognise({.template_text = "<tool_call> </think>",
                 .vocabulary = {{7, "<tool_call>"}, {8, "</tool_call>"}, {9, "<think>"}, {10, "</think>"}}});
  const auto read_pieces = [&](const std::vector<Piece>& pieces) {
    Parser parser(format, {.tools = tools()});
    Collector collector;
    for (const Piece& piece : pieces) parser.feed(piece, collector.sink());
    parser.finish(Ending::kStop, collector.sink());
    return summary(collector.message());
  };
  const std::string object = "{\"name\": \"now\", \"arguments\": {}}";
  EXPECT_EQ(read_pieces({{"", 9}, {"a </think> b"}, {"", 10}, {"Use <tool_call>."}, {"", 7}, {object}, {"", 8}}),
            "r: a </think> b\nc: Use <tool_call>.\nt: now {}\n");
  // Tokens that are no markers have no text, unless the tokenizer gives one.
  EXPECT_EQ(read_pieces({{"", 1}, {"x", 2}}), "c: x\n");
}

TEST(Parser, ReasoningMayStayInTheContent) {
  EXPECT_EQ(read({.family = "hermes", .answer = "<think>\nHm.\n</think>\n\nHi.", .separates_reasoning = false}),
            "c: <think>\nHm.\n</think>\n\nHi.\n");
}

TEST(Parser, AnswersThatBreakOffInsideAMarkerLoseNothing) {
  for (const char* family : {"hermes", "qwen-xml", "glm", "mistral-v13", "kimi-k2", "llama3", "gemma4"}) {
    for (const char* text : {"Hi <", "Hi <tool_cal", "Hi <thin", "Hi [TOOL_CALL", "Hi <|tool_call", "  "})
      EXPECT_EQ(read(family, text), std::string("c: ") + text + "\n");
  }
}

TEST(Parser, SpacesBeforeAnAnswerStayAndBlankReasoningGoes) {
  EXPECT_EQ(read("hermes", "\n\n Hi.\n"), "c: \n\n Hi.\n\n");
  EXPECT_EQ(read("hermes", "<think>\n\n</think>\n\nHi."), "c: Hi.\n");
}

TEST(Parser, ArgumentsAreTheModelsOwnBytes) {
  const Message message =
      parse({"hermes", "<tool_call>{\"arguments\": { \"a\" :1.50 }, \"name\": \"add\"}</tool_call>"});
  ASSERT_EQ(message.calls.size(), 1u);
  EXPECT_EQ(message.calls[0].arguments, "{ \"a\" :1.50 }");
}

TEST(Parser, RepairsWhatModelsDoInsideTexts) {
  EXPECT_EQ(read("hermes", "<tool_call>{\"name\": \"save\", \"arguments\": {\"text\": \"a\nb\\'c\\d\"}}</tool_call>"),
            "t: save {\"text\":\"a\\nb'c\\\\d\"}\n");
  EXPECT_EQ(read("hermes", "<tool_call>{\"name\": \"save\", \"arguments\": \"{\\\"text\\\": \\\"x\\\"}\"}</tool_call>"),
            "t: save {\"text\":\"x\"}\n");
}

// What cannot become a call any more is shown at once.
TEST(Parser, AnswersInJsonAreNotHeldBack) {
  for (const char* begin : {"{\"answer\": ", "{\"name\": \"Ann\", ", "[1, "}) {
    const auto said = deltas({"llama3", ""}, {begin, "\"a\"}"});
    ASSERT_EQ(said.size(), 3u) << begin;  // why it is no call; both pieces
    EXPECT_EQ(said[1].text + " ", begin);
  }
}

TEST(Parser, HalfASurrogatePairIsReplaced) {
  for (const char* text :
       {R"(\ud83dx)", R"(\ud83d\n)", R"(\ud83d\ud83d\ude00)", R"(\ude00)", R"(\ud83d)", R"(\ud83d\u0041)"}) {
    EXPECT_EQ(parse({"hermes", std::string(R"(<tool_call>{"name": "save", "arguments": {"text": ")") + text + "\"}}"})
                  .calls.at(0)
                  .arguments.find("\\ufffd"),
              10u)
        << text;
    EXPECT_NE(read("llama3", std::string("[save(text='") + text + "')]").find("\uFFFD"), std::string::npos) << text;
  }
  EXPECT_EQ(read("llama3", R"([save(text='\ud83d\ude00\x41')])"), "t: save {\"text\":\"\U0001F600A\"}\n");
}

TEST(Parser, TheFirstOfRepeatedArgumentsCounts) {
  EXPECT_EQ(read("qwen-xml",
                 "<tool_call>\n<function=save>\n<parameter=n>\n1\n</parameter>\n<parameter=n>\n2\n</parameter>\n"
                 "</function>\n</tool_call>"),
            "t: save {\"n\":\"1\"}\n");
  EXPECT_EQ(read("llama3", "[add(a=1, a=2)]"), "t: add {\"a\":1}\n");
}

}  // namespace
}  // namespace hearth::chat::test
