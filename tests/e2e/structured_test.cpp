// The demonstration model, which knows nothing of JSON, fills schemas and calls tools at a high temperature, in batches
// with free answers beside them. HEARTH_SCHEMA_SEEDS: how many answers each schema gets (3).
#include <algorithm>
#include <fstream>

#include "chat/json_scanner.h"
#include "e2e/schemas.h"
#include "engine/engine.h"
#include "engine/event_queue.h"
#include "fleet/find_model.h"
#include "fleet/load_model.h"
#include "grammar/token_constraint.h"
#include "support/support.h"

namespace hearth::test {
namespace {

constexpr uint32_t kSequences = 12;

struct Answer {
  std::string text;
  std::vector<text::Token> tokens;
  engine::FinishReason finish = engine::FinishReason::kError;
  std::string error;
};

class Structured : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = std::filesystem::path(HEARTH_BINARY).parent_path() / "demo.gguf";
    auto found = fleet::find_model(path.string());
    ASSERT_TRUE(found.ok()) << found.error().message;
    fleet::ModelOptions options;
    options.context = 1024;
    options.gpu = fleet::GpuPolicy::kOff;
    auto loaded = fleet::load_model(std::move(*found), options, fleet::answer_load_options(kSequences), {});
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    loaded_ = std::move(*loaded);
    engine_ = std::make_unique<engine::Engine>(loaded_.placed->backend(), loaded_.tokenizer,
                                               engine::EngineOptions{.max_sequences = kSequences});
    trie_ = std::make_shared<const grammar::TokenTrie>(*loaded_.tokenizer);
  }

  engine::Request request(std::string_view prompt, int64_t seed) const {
    engine::Request made;
    made.prompt = loaded_.tokenizer->encode(prompt, {});
    made.options.temperature = 1.5;
    made.options.top_k = 0;
    made.options.top_p = 1;
    made.options.seed = seed;
    made.options.num_predict = 400;
    return made;
  }
  engine::Request free_request(int64_t seed) const {
    engine::Request free = request("Once upon a time", seed);
    free.options.num_predict = 40;
    free.ignore_eos = true;
    return free;
  }
  engine::Request held_request(const grammar::AnswerRules& rules, int64_t seed) const {
    engine::Request held = request("Fill this in, please:", seed);
    auto constraint = grammar::constrain(rules, trie_, nullptr);
    EXPECT_TRUE(constraint.ok()) << constraint.error().message;
    held.constraint = std::move(*constraint);
    return held;
  }

  // All at the same time.
  std::vector<Answer> run(std::vector<engine::Request> requests) {
    std::vector<Answer> answers(requests.size());
    std::vector<engine::EventQueue> queues(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto id = engine_->submit(std::move(requests[i]), queues[i].sink());
      EXPECT_TRUE(id.ok()) << id.error().message;
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      for (bool ended = false; !ended;) {
        const std::optional<engine::Event> event = queues[i].pop(std::chrono::seconds(60));
        if (!event) {
          ADD_FAILURE() << "no event for a minute";
          return answers;
        }
        answers[i].text += event->text;
        answers[i].tokens.insert(answers[i].tokens.end(), event->tokens.begin(), event->tokens.end());
        ended = event->finish.has_value();
        if (ended) answers[i].finish = *event->finish;
        if (event->error) answers[i].error = event->error->message;
      }
    }
    return answers;
  }

  void note(std::string_view schema, std::string_view text) {
    cases_ += fmt::format("{{\"schema\":{},\"text\":\"", schema);
    chat::append_escaped(text, &cases_);
    cases_ += "\"}\n";
  }
  // Checks what was noted with a validator that shares nothing with hearth.
  void validate() {
    const TemporaryFolder folder;
    const std::string file = folder / "cases.jsonl", output = folder / "output";
    std::ofstream(file) << cases_;
    const std::string script = std::string(HEARTH_SOURCE_DIR) + "/tests/e2e/validate.py";
    const int status = std::system(("'" + script + "' '" + file + "' >'" + output + "' 2>&1").c_str());
    if (WEXITSTATUS(status) == 77) {
      note_skipped();
      GTEST_SKIP() << "python3-jsonschema is not installed";
    }
    std::ifstream said(output);
    EXPECT_EQ(status, 0) << std::string(std::istreambuf_iterator<char>(said), {});
  }

  fleet::LoadedModel loaded_;
  std::unique_ptr<engine::Engine> engine_;
  std::shared_ptr<const grammar::TokenTrie> trie_;
  std::string cases_;
};

TEST_F(Structured, EveryAnswerFitsItsSchemaAndNeighboursDoNotChangeByABit) {
  const char* asked = std::getenv("HEARTH_SCHEMA_SEEDS");
  const int64_t seeds = asked == nullptr ? 3 : std::stol(asked);
  const std::vector<Answer> alone = [&] {
    std::vector<Answer> answers;
    for (const int64_t seed : {101, 102}) answers.push_back(run({free_request(seed)})[0]);
    return answers;
  }();
  constexpr size_t kBatch = 10;
  for (int64_t seed = 1; seed <= seeds; ++seed) {
    for (size_t first = 0; first < std::size(kSchemas); first += kBatch) {
      std::vector<engine::Request> requests;
      requests.push_back(free_request(101));
      for (size_t i = first; i < first + kBatch; ++i) {
        grammar::AnswerRules rules;
        rules.text = {grammar::TextRule::Kind::kSchema, kSchemas[i], {}};
        requests.push_back(held_request(rules, seed));
      }
      requests.push_back(free_request(102));
      const std::vector<Answer> answers = run(std::move(requests));
      for (size_t i = 0; i < kBatch; ++i) {
        const Answer& answer = answers[i + 1];
        EXPECT_EQ(answer.finish, engine::FinishReason::kStop)
            << kSchemas[first + i] << "\n" << answer.text << "\n" << answer.error;
        note(kSchemas[first + i], answer.text);
      }
      EXPECT_EQ(answers.front().tokens, alone[0].tokens);
      EXPECT_EQ(answers.back().tokens, alone[1].tokens);
    }
  }
  validate();
}

TEST_F(Structured, ADemandedToolIsAlwaysCalled) {
  constexpr std::string_view kOpens = "<tool_call>\n{\"name\": \"", kBetween = "\", \"arguments\": ",
                             kCloses = "}\n</tool_call>";
  const std::vector<grammar::ToolRule> tools = {
      {"get_weather",
       R"({"type":"object","properties":{"city":{"type":"string","maxLength":9},"days":{"type":"integer","minimum":1,"maximum":7}},"required":["city","days"]})"},
      {"stop", R"({"type":"object","properties":{"why":{"enum":["done","tired"]}},"required":["why"]})"},
  };
  grammar::AnswerRules rules;
  rules.tools = tools;
  rules.must_call = true;
  rules.most_calls = 1;
  rules.frames.calls.trigger = "<tool_call>";
  rules.frames.calls.before_name = kOpens;
  rules.frames.calls.before_arguments = kBetween;
  rules.frames.calls.after_arguments = kCloses;
  rules.frames.calls.json_name = true;
  std::vector<engine::Request> requests;
  for (int64_t seed = 1; seed <= 10; ++seed) requests.push_back(held_request(rules, seed));
  for (const Answer& answer : run(std::move(requests))) {
    EXPECT_EQ(answer.finish, engine::FinishReason::kStop) << answer.text << answer.error;
    std::string_view text = answer.text;
    ASSERT_TRUE(text.starts_with(kOpens) && text.ends_with(kCloses)) << text;
    text = text.substr(kOpens.size(), text.size() - kOpens.size() - kCloses.size());
    const size_t name = text.find(kBetween);
    ASSERT_NE(name, text.npos) << text;
    const auto called = std::ranges::find(tools, text.substr(0, name), &grammar::ToolRule::name);
    ASSERT_NE(called, tools.end()) << text;
    note(called->schema, text.substr(name + kBetween.size()));
  }
  validate();
}

TEST_F(Structured, ALimitInsideAValueIsALengthAndWhatHasNoChoiceTakesNoStep) {
  grammar::AnswerRules rules;
  rules.text = {grammar::TextRule::Kind::kSchema, R"({"type":"string","minLength":100})", {}};
  engine::Request cut = held_request(rules, 1);
  cut.options.num_predict = 5;
  EXPECT_EQ(run({cut})[0].finish, engine::FinishReason::kLength);

  rules.text.source = R"({"const":"a text that is the only one"})";
  const uint64_t steps = engine_->stats().steps;
  const Answer only = run({held_request(rules, 1)})[0];
  EXPECT_EQ(only.text, R"("a text that is the only one")");
  EXPECT_EQ(only.finish, engine::FinishReason::kStop);
  EXPECT_LT(engine_->stats().steps - steps, only.tokens.size() / 2);
}

}  // namespace
}  // namespace hearth::test
