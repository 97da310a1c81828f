// GBNF and whole-text regular expressions.
#include "grammar/compose.h"
#include "grammar/machine.h"
#include "support/support.h"

namespace hearth::grammar {
namespace {

Result<std::shared_ptr<const Grammar>> compile(TextRule::Kind kind, std::string_view source) {
  return compile_text({kind, std::string(source), {}}, nullptr);
}

// Texts that it produces, and such that it does not.
void expect(TextRule::Kind kind, std::string_view source, std::vector<std::string_view> texts,
            std::vector<std::string_view> others) {
  const auto grammar = compile(kind, source);
  ASSERT_TRUE(grammar.ok()) << source << "\n" << grammar.error().message;
  for (const std::string_view text : texts) {
    Machine machine(*grammar, nullptr);
    EXPECT_TRUE(machine.accepts(machine.step(machine.start(), text))) << source << "\n" << text;
  }
  for (const std::string_view text : others) {
    Machine machine(*grammar, nullptr);
    EXPECT_FALSE(machine.accepts(machine.step(machine.start(), text))) << source << "\n" << text;
  }
}
void expect_gbnf(std::string_view source, std::vector<std::string_view> texts, std::vector<std::string_view> others) {
  expect(TextRule::Kind::kGbnf, source, std::move(texts), std::move(others));
}

std::string refusal(TextRule::Kind kind, std::string_view source) {
  const auto grammar = compile(kind, source);
  EXPECT_FALSE(grammar.ok()) << source;
  return grammar.ok() ? "" : grammar.error().message;
}

TEST(Gbnf, AllOfItsForms) {
  expect_gbnf("root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "yesno", "maybe"});
  expect_gbnf("root ::= [a-cX] [^0-9\\n]? .", {"aé!", "X\n", "bx5"}, {"d1", "a55", "a"});
  expect_gbnf("root ::= \"a\"* \"b\"+ (\"c\" \"d\")?", {"b", "aabbcd"}, {"", "a", "bc"});
  expect_gbnf("root ::= \"a\"{2} [0-9]{1,3} \"b\"{2,} \"c\"{ 0 , 1 }", {"aa1bb", "aa123bbbbc"}, {"a1bb", "aa1234bb", "aa1b"});
  expect_gbnf("root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\\n\\t\\r\\[\\]\"", {"Aé😀\"\\\n\t\r[]"}, {"Ae"});
  expect_gbnf("root ::= [\\]\\[\\-\\^x-]+", {"]-[^x"}, {"y"});
  expect_gbnf("# a comment\nroot ::= # another\n  one | # and\n  two\n  | three-3\none ::= \"1\" # end\ntwo::=\"2\"\r\nthree-3 ::= (\n\"3\"\n|\n\"4\" # in a group\n)\n",
              {"1", "2", "3", "4"}, {"5"});
  expect_gbnf("root ::= \"a\" | ", {"", "a"}, {"b"});
  expect_gbnf("root ::= (\"a\"*)* (\"\" | \"b\"?)+", {"", "aab"}, {"ba"});
}

// The examples of llama.cpp's documentation, in own words.
TEST(Gbnf, RulesThatCallThemselves) {
  expect_gbnf(R"--(
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)--",
              {"a=1\n", "a +(b*2) = 3\nx=y\n"}, {"a=", "a=1", "(a=1\n"});
  expect_gbnf(R"--(root ::= object
value ::= object | array | string | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
ws ::= | " " | "\n" [ \t]{0,20}
)--",
              {"{}", R"({"a":[true,{"b":"\u00e9\n"}], "c":null})"}, {"[]", R"({"a"})", R"({"a":"\x"})"});
  expect_gbnf("root ::= \"(\" root? \")\"", {"()", "((()))"}, {"", "(()", ")("});
}

TEST(Gbnf, WhatIsWrongIsSaidWithItsLine) {
  const auto says = [](std::string_view source, std::string_view message) {
    const std::string said = refusal(TextRule::Kind::kGbnf, source);
    EXPECT_NE(said.find(message), std::string::npos) << source << "\n" << said;
  };
  says("", "no rule \"root\"");
  says("a ::= \"x\"", "no rule \"root\"");
  says("root ::= a\n\nb ::= a", "uses the rule \"a\", which is not defined (line 1)");
  says("root ::= \"a\"\nroot ::= \"b\"", "defines the rule \"root\" twice (line 2)");
  says("root ::= \"a", "unmatched \" (line 1)");
  says("root ::= [a", "unmatched [");
  says("root ::= (\"a\"\n\n", "unmatched ( (line 3)");
  says("root ::= \"a\")", "unmatched )");
  says("root ::= *", "nothing to repeat");
  says("root ::= \"a\"{2,1}", "out of order");
  says("root ::= \"a\"{,2}", "no number");
  says("root ::= \"a\"{2", "unmatched {");
  says("root ::= [z-a]", "out of order");
  says("root ::= \"\\q\"", "unknown escape \"\\q\"");
  says("root ::= \"\\ud800\"", "no character");
  says("root ::= \"\\x4\"", "unfinished escape");
  says("root = \"a\"", "no ::= behind the name \"root\"");
  says("root ::= \"a\"\n?", "where a rule's name should be (line 2)");
  says("root ::= <think> \"a\"", "refers to a token, \"<think>");
  says("root ::= !<[12]>", "refers to a token");
  says("root ::= \"\xff\"", "not UTF-8");
  says("root ::= " + std::string(300, '('), "too many groups");
  says("root ::= a \"x\"\na ::= b | \"y\"\nb ::= \"z\"? a", "\"a\" may begin with itself (left recursion)");
  says("root ::= \"a\" root", "no text can satisfy it");
}

// Written out it would have 2^40 parts.
TEST(Gbnf, RulesOfRulesStayShort) {
  std::string source = "root ::= r0 r0\n";
  for (int i = 0; i < 40; ++i) source += fmt::format("r{} ::= r{} r{} | \"x\"\n", i, i + 1, i + 1);
  source += "r40 ::= \"y\"\n";
  expect_gbnf(source, {"xx", "xxx", "xxxxxx"}, {"", "x", "y"});
}

TEST(Patterns, AWholeTextMatches) {
  const auto expect_pattern = [](std::string_view source, std::vector<std::string_view> texts,
                                 std::vector<std::string_view> others) {
    expect(TextRule::Kind::kPattern, source, std::move(texts), std::move(others));
  };
  expect_pattern("yes|no", {"yes", "no"}, {"yes!", "oh no"});
  expect_pattern("^\\d{3}-[a-z]+$", {"123-abc"}, {"123-", "1234-a"});
  expect_pattern("(?!no)\\w+ \\p{Lu}.*", {"on É\"\\"}, {"not A", "on e"});
  EXPECT_NE(refusal(TextRule::Kind::kPattern, "(").find("unmatched ("), std::string::npos);
  EXPECT_NE(refusal(TextRule::Kind::kPattern, "a(?<=b)").find("look-behind"), std::string::npos);
  EXPECT_NE(refusal(TextRule::Kind::kPattern, "a(?!)").find("no text"), std::string::npos);
}

// Neither takes more of the stack than a thread has.
TEST(Patterns, LongOnesAreHeldOrRefused) {
  std::string optional, letters = "^";
  for (int i = 0; i < 30'000; ++i) optional += "a?", letters += 'a';
  EXPECT_NE(refusal(TextRule::Kind::kPattern, optional).find("too many parts in a row"), std::string::npos);
  EXPECT_NE(refusal(TextRule::Kind::kPattern, letters).find("too many parts in a row"), std::string::npos);
  EXPECT_TRUE(compile(TextRule::Kind::kPattern, optional.substr(0, 7000)).ok());
  EXPECT_TRUE(compile(TextRule::Kind::kPattern, letters.substr(0, 3500) + "$").ok());
}

}  // namespace
}  // namespace hearth::grammar
