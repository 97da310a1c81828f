// What masks of a large vocabulary cost, in nodes of its tree that are visited: there are some 290,000.
#include "gguf/file.h"
#include "grammar/compose.h"
#include "grammar/mask_costs.h"
#include "support/support.h"

namespace hearth::grammar {
namespace {

constexpr const char* kVocabulary = "models/vocab/ggml-vocab-llama-bpe.gguf";  // 128,256 tokens

class Costs : public testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_SHARED(kVocabulary);
    REQUIRE_SHARED("golden/json-schema/real.json");
    file_ = *gguf::File::open(test::shared(kVocabulary).string());
    tokenizer_ = std::move(*text::Tokenizer::load(*file_));
    trie_ = std::make_shared<const TokenTrie>(*tokenizer_);
  }
  MaskCosts follow(const TextRule& rule, std::string_view text) {
    const auto grammar = compile_text(rule, nullptr);
    EXPECT_TRUE(grammar.ok()) << grammar.error().message;
    Machine machine = prepared_machine(*grammar, trie_);
    EXPECT_TRUE(machine.accepts(machine.step(machine.start(), text))) << text;
    MaskCosts costs;
    measure_text(machine, *trie_, text, costs);
    return costs;
  }

  std::shared_ptr<const gguf::File> file_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::shared_ptr<const TokenTrie> trie_;
};

TEST_F(Costs, MasksOfRealSchemasVisitFewNodes) {
  const auto bytes = test::read_bytes(test::shared("golden/json-schema/real.json"));
  const auto data = read_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  ASSERT_TRUE(data.ok());
  MaskCosts costs;
  size_t states = 0, largest = 0;
  const std::vector<JsonValue>& groups = data->find("groups")->items;
  for (size_t i = 0; i < groups.size(); i += 4) {
    const auto grammar = compile_schema(write_json(*groups[i].find("schema")), {.open_objects = true}, nullptr);
    if (!grammar) continue;
    Machine machine = prepared_machine(*grammar, trie_);
    for (const JsonValue& instance : groups[i].find("instances")->items) {
      if (instance.find("valid")->boolean && instance.find("in_order")->boolean)
        measure_text(machine, *trie_, instance.find("text")->text, costs);
    }
    EXPECT_FALSE(machine.overflowed());
    states += machine.state_count();
    largest = std::max(largest, machine.memory_bytes());
  }
  const MaskCosts::Summary sum = costs.summary();
  EXPECT_GT(costs.masks.size(), 5000u);
  EXPECT_LT(sum.visited, 700);
  EXPECT_LT(static_cast<double>(states) / static_cast<double>(costs.masks.size()), 6);
  EXPECT_LT(largest, size_t{32} << 20);
  EXPECT_GT(costs.forced, costs.masks.size() / 10);  // tokens that need no mask
}

// The names that an object does not declare are all strings but a few; what a pattern matches may stand anywhere.
TEST_F(Costs, BroadStringsAreNotWalkedThrough) {
  const TextRule others{
      TextRule::Kind::kSchema,
      R"({"properties":{"first":{"type":"integer"},"second":{"type":"string"}},"additionalProperties":true})",
      {}};
  follow(others, R"({"first":1,"third":2})");  // once for a vocabulary: what is common to all such objects
  EXPECT_LT(follow(others, R"({"first":1,"third":2})").summary().most_visited, 4000u);
  const TextRule anywhere{TextRule::Kind::kSchema, R"({"type":"string","pattern":"[0-9a-f]{8}-[0-9a-f]{4}"})", {}};
  EXPECT_LT(follow(anywhere, R"("id 01234567-89ab and more")").summary().most_visited, 70'000u);
  const TextRule letters{TextRule::Kind::kPattern, "[A-Za-z ]+\\.", {}};
  EXPECT_LT(follow(letters, "Once upon a time.").summary().most_visited, 40'000u);
}

TEST_F(Costs, ManyToolsAreCompiledIntoLittle) {
  std::vector<ToolRule> tools;
  for (int i = 0; i < 60; ++i) {
    std::string properties;
    for (int k = 0; k < 20; ++k) {
      properties += fmt::format(R"({}"property_{}_{}":{{"type":"string","description":"{}"}})", k == 0 ? "" : ",", i, k,
                                std::string(50, 'x'));
    }
    tools.push_back({"tool_" + std::to_string(i), R"({"type":"object","properties":{)" + properties + "}}"});
  }
  AnswerRules rules;
  rules.tools = tools;
  rules.must_call = true;
  rules.frames.calls.before_name = "<call>";
  rules.frames.calls.before_arguments = " ";
  const auto grammar = compile_answer(rules, *trie_, nullptr);
  ASSERT_TRUE(grammar.ok());
  EXPECT_LT((*grammar)->node_count(), 60u * 20 * 20);
  EXPECT_LT((*grammar)->memory_bytes(), size_t{4} << 20);
  Machine machine = prepared_machine(*grammar, trie_);
  MaskCosts costs;
  measure_text(machine, *trie_, R"(<call>tool_17 {"property_17_3":"x","property_17_19":"y"})", costs);
  EXPECT_LT(costs.summary().most_visited, 8000u);
}

}  // namespace
}  // namespace hearth::grammar
