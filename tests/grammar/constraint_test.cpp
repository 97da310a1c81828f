// Masks of a real vocabulary: each token of them is one that the text can go on with, and no other.
#include <random>

#include "gguf/file.h"
#include "grammar/compose.h"
#include "grammar/machine.h"
#include "grammar/token_constraint.h"
#include "support/support.h"

namespace hearth::grammar {
namespace {

constexpr const char* kSchemas[] = {
    R"({"type":"object","properties":{"name":{"type":"string","maxLength":9},"n":{"type":"integer","minimum":3,"maximum":250},"on":{"type":"boolean"}},"required":["n"]})",
    R"({"type":"array","items":{"enum":["once","upon","a time",1.5,null]},"minItems":2,"maxItems":4})",
    R"({"type":"string","pattern":"^[a-z]{2,5}( [a-z]+){1,3}$"})",
    R"({"type":"object","additionalProperties":{"type":"string","minLength":2,"maxLength":6},"maxProperties":2})",
    R"({"type":"string","maxLength":60,"pattern":"^([a-z]+ )*[a-z]+$"})",  // at first, too far from the limit to feel
                                                                           // it
    R"({"type":"string","maxLength":70,"pattern":"^[a-z ]*: and here is the only end that this long story may have$"})",
};

std::unique_ptr<text::Tokenizer> tokenizer() {
  const auto file = gguf::File::open(test::shared("models/stories260K.gguf").string());
  EXPECT_TRUE(file.ok());
  auto loaded = text::Tokenizer::load(**file);
  EXPECT_TRUE(loaded.ok());
  return std::move(*loaded);
}

TEST(TokenConstraint, MasksHoldWhatMayComeAndNothingElse) {
  REQUIRE_SHARED("models/stories260K.gguf");
  const auto tokens = tokenizer();
  const auto trie = std::make_shared<TokenTrie>(*tokens);
  std::mt19937_64 random(test::seed());
  std::vector<uint64_t> mask(sampling::mask_words(tokens->size()));
  for (const char* schema : kSchemas) {
    const auto grammar = compile_schema(schema, {}, nullptr);
    ASSERT_TRUE(grammar.ok()) << grammar.error().message;
    for (int run = 0; run < 8; ++run) {
      const auto constraint = make_constraint(*grammar, trie);
      std::string text;
      for (int step = 0; step < 120 && !constraint->ended(); ++step) {
        ASSERT_TRUE(constraint->allowed(mask).ok());
        std::vector<int32_t> choices;
        for (int32_t token = 0; token < static_cast<int32_t>(tokens->size()); ++token) {
          ASSERT_EQ(sampling::is_set(mask, token), constraint->is_allowed(token))
              << schema << "\n"
              << text << "\ntoken " << token << ": " << tokens->piece(token, true);
          if (sampling::is_set(mask, token)) choices.push_back(token);
        }
        ASSERT_FALSE(choices.empty()) << schema << "\n" << text;
        const int32_t chosen = choices[random() % choices.size()];
        const auto fork = constraint->clone();
        ASSERT_TRUE(constraint->accept(chosen));
        constraint->rollback(1);
        ASSERT_TRUE(constraint->accept(chosen));
        ASSERT_TRUE(fork->is_allowed(chosen));  // the copy has not moved
        text += tokens->piece(chosen, false);
      }
      if (constraint->may_end()) {
        Machine machine(*grammar, nullptr);
        EXPECT_TRUE(machine.accepts(machine.step(machine.start(), text))) << text;
      }
    }
  }
}

// What is kept for the next request of a form goes with the model's vocabulary.
TEST(TokenConstraint, AVocabularyGoesWithItsLastConstraint) {
  REQUIRE_SHARED("models/stories260K.gguf");
  const auto tokens = tokenizer();
  auto trie = std::make_shared<const TokenTrie>(*tokens);
  const std::weak_ptr<const TokenTrie> watched = trie;
  AnswerRules rules;
  rules.text = {.kind = TextRule::Kind::kSchema, .source = kSchemas[0]};
  auto constraint = constrain(rules, std::move(trie), nullptr);
  ASSERT_TRUE(constraint.ok()) << constraint.error().message;
  std::vector<uint64_t> mask(sampling::mask_words(tokens->size()));
  EXPECT_TRUE((*constraint)->allowed(mask).ok());
  EXPECT_FALSE(watched.expired());
  constraint->reset();
  EXPECT_TRUE(watched.expired());
}

TEST(TokenConstraint, WhatCanOnlyGoOneWayIsForced) {
  REQUIRE_SHARED("models/stories260K.gguf");
  const auto tokens = tokenizer();
  const auto trie = std::make_shared<TokenTrie>(*tokens);
  const auto grammar = compile_schema(R"({"enum":["once upon a time"]})", {}, nullptr);
  ASSERT_TRUE(grammar.ok());
  const auto constraint = make_constraint(*grammar, trie);
  std::string text;
  for (const int32_t token : constraint->forced()) {
    ASSERT_TRUE(constraint->accept(token));
    text += trie->text(token);
  }
  EXPECT_EQ(text, "\"once upon a time\"");
  EXPECT_TRUE(constraint->ended());
}

// A host name has counts within counts (63 and 253 characters): no search may go through their product.
TEST(Formats, ALabelThatIsRefusedIsFoundOutWithoutASearch) {
  const auto grammar = compile_schema(R"({"type":"string","format":"hostname"})", {}, nullptr);
  ASSERT_TRUE(grammar.ok());
  Machine machine(*grammar, nullptr);
  const size_t before = machine.memory_bytes();
  EXPECT_EQ(machine.step(machine.start(), "\"xn--4gbwdl"), Machine::kDead);
  EXPECT_EQ(machine.step(machine.start(), "\"www.ab--c.org"), Machine::kDead);
  EXPECT_NE(machine.step(machine.start(), "\"www.abc--d.org"), Machine::kDead);
  EXPECT_LT(machine.memory_bytes() - before, size_t{1} << 20);
}

// What is no string is no string either where a member only has to be there without being named.
TEST(Negations, AreOfValuesOfJson) {
  const auto grammar =
      compile_schema(R"({"type":"object","not":{"additionalProperties":{"type":"string"}}})", {}, nullptr);
  ASSERT_TRUE(grammar.ok());
  Machine machine(*grammar, nullptr);
  EXPECT_TRUE(machine.accepts(machine.step(machine.start(), R"({"a":"","b":1,"c":""})")));
  EXPECT_FALSE(machine.accepts(machine.step(machine.start(), R"({"a":"","b":""})")));
  EXPECT_FALSE(machine.accepts(machine.step(machine.start(), R"({"a":"","b":"","c":""})")));
}

TEST(SchemaErrors, AnImpossibleSchemaIsRefusedAtTheStart) {
  const auto endless =
      compile_schema(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", {}, nullptr);
  ASSERT_FALSE(endless.ok());
  EXPECT_NE(endless.error().message.find("no text"), std::string::npos) << endless.error().message;
  const auto unique = compile_schema(R"({"properties":{"a":{"type":"array","uniqueItems":true}}})", {}, nullptr);
  ASSERT_FALSE(unique.ok());
  EXPECT_NE(unique.error().message.find("\"uniqueItems\" at #/properties/a"), std::string::npos)
      << unique.error().message;
  std::vector<std::string> warnings;
  EXPECT_TRUE(compile_schema(R"({"type":"array","uniqueItems":true})", {.lenient = true}, &warnings).ok());
  EXPECT_EQ(warnings.size(), 1u);
}

TEST(SchemaErrors, LenientAllowsAnyObjectWhereASchemaCannotBeRead) {
  for (const char* schema : {R"({"type":"object","properties":{"a":{"$ref":"#/nowhere"}}})", R"({"$ref":"#"})",
                             R"({"type":"object","properties":{"a":{"minimum":"x","type":"number"}}})"}) {
    EXPECT_FALSE(compile_schema(schema, {}, nullptr).ok()) << schema;
    std::vector<std::string> warnings;
    const auto grammar = compile_schema(schema, {.lenient = true}, &warnings);
    ASSERT_TRUE(grammar.ok()) << schema << ": " << grammar.error().message;
    ASSERT_EQ(warnings.size(), 1u) << schema;
    EXPECT_NE(warnings[0].find("any object"), std::string::npos) << warnings[0];
    Machine machine(*grammar, nullptr);
    EXPECT_TRUE(machine.accepts(machine.step(machine.start(), R"({"b":[1]})"))) << schema;
    EXPECT_EQ(machine.step(machine.start(), "["), Machine::kDead) << schema;
  }
}

}  // namespace
}  // namespace hearth::grammar
