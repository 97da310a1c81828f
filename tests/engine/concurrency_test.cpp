// Many requests at once: each gets the same tokens as alone, whatever is shared, preempted or cut.
#include <array>
#include <random>
#include <thread>

#include "engine/engine.h"
#include "engine/fake_model.h"
#include "sampling/sampler.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

// What the model and the sampler give without any engine.
std::vector<Token> alone(const Request& request, const Predict& predict, size_t context) {
  std::vector<Token> tokens = request.prompt, answer;
  sampling::Sampler sampler(request.options, context);
  for (Token token : tokens) sampler.accept(token);
  std::vector<float> logits(FakeTokenizer::kVocabulary);
  const auto most = static_cast<size_t>(request.options.num_predict);
  while (answer.size() < most && tokens.size() <= context) {
    predict(tokens, logits);
    const Token token = sampler.sample(logits).token;
    sampler.accept(token);
    tokens.push_back(token);
    answer.push_back(token);
    if (token == FakeTokenizer::kEnd) break;
  }
  return answer;
}

class RandomRequests {
 public:
  explicit RandomRequests(uint64_t seed) : random_(seed) {
    for (std::vector<Token>& start : starts_) {
      for (size_t i = 0, length = below(150); i < length; ++i) start.push_back(any_token());
    }
  }

  size_t below(size_t bound) { return random_() % bound; }

  // Prompts begin alike, so that they share pages; options of all kinds.
  Request next(size_t context) {
    Request request;
    request.prompt = starts_[below(starts_.size())];
    for (size_t i = 0, more = 1 + below(40); i < more; ++i) request.prompt.push_back(any_token());
    if (request.prompt.size() > context) request.prompt.resize(context);
    request.options.seed = static_cast<int64_t>(below(1000));
    request.options.temperature = below(3) == 0 ? 0.0f : 0.9f;
    request.options.repeat_penalty = below(2) == 0 ? 1.0f : 1.2f;
    request.options.num_predict = static_cast<int>(1 + below(100));
    return request;
  }

 private:
  Token any_token() { return static_cast<Token>(1 + below(29)); }

  std::mt19937_64 random_;
  std::array<std::vector<Token>, 3> starts_;
};

// Submits random requests from one thread, cancels some, and compares all with what they get alone.
void use_engine(Engine& engine, const Predict& predict, size_t context, uint64_t seed, int requests) {
  struct Sent {
    Request request;
    Receiver receiver;
    bool cancelled = false;
  };
  RandomRequests random(seed);
  std::vector<Sent> sent(static_cast<size_t>(requests));
  for (Sent& one : sent) {
    one.request = random.next(context);
    const auto id = engine.submit(one.request, one.receiver.sink());
    ASSERT_TRUE(id.ok());
    if (random.below(6) == 0) {
      one.cancelled = true;
      one.receiver.wait_for_tokens(random.below(5));
      engine.cancel(*id);
    }
    if (random.below(8) == 0) one.receiver.wait();
  }
  for (Sent& one : sent) {
    const Event event = one.receiver.wait();
    std::vector<Token> expected = alone(one.request, predict, context);
    if (event.finish == FinishReason::kCancelled) {
      ASSERT_TRUE(one.cancelled);
      ASSERT_LE(event.tokens.size(), expected.size());
      expected.resize(event.tokens.size());
    }
    ASSERT_EQ(event.tokens, expected);
  }
  for (Sent& one : sent) ASSERT_TRUE(one.receiver.exactly_one_final());
}

TEST(EngineConcurrency, EveryRequestGetsTheSameTokensAsAlone) {
  std::mt19937_64 random(hearth::test::seed());
  const Predict predict = babble();
  for (int round = 0; round < 12 && !testing::Test::HasFailure(); ++round) {
    const uint32_t context = 100 + static_cast<uint32_t>(random() % 200);
    const uint32_t pages = context / device::kPage_tokens + 1 + static_cast<uint32_t>(random() % 12);
    EngineOptions options;
    options.max_sequences = 1 + static_cast<uint32_t>(random() % 8);
    options.step_rows = options.max_sequences + static_cast<uint32_t>(random() % 100);
    FakeModel model(predict, pages, context);
    Engine engine(model.backend(), std::make_shared<FakeTokenizer>(), options);

    std::vector<std::thread> users;
    for (int i = 0; i < 3; ++i) {
      users.emplace_back([&, seed = random()] { use_engine(engine, predict, context, seed, 25); });
    }
    for (std::thread& user : users) user.join();

    const Stats stats = engine.stats();
    EXPECT_EQ(stats.running + stats.waiting, 0u);
    EXPECT_EQ(stats.pages_free, stats.pages_total);
    EXPECT_EQ(model.unwritten_reads(), 0u);
  }
}

TEST(EngineConcurrency, PreemptedRequestsGoOnWhereTheyWere) {
  const Predict predict = babble(1'000'000'000);  // never ends by itself
  FakeModel model(predict, 6, 128);
  Engine engine(model.backend(), std::make_shared<FakeTokenizer>(), {.max_sequences = 4, .queue = 0, .step_rows = 20});
  model.hold();
  RandomRequests random(hearth::test::seed());
  std::vector<std::pair<Request, Receiver>> all(4);
  for (auto& [request, receiver] : all) {
    request = random.next(20);
    request.options.num_predict = 100;  // four pages for each in the end, of six
    ASSERT_TRUE(engine.submit(request, receiver.sink()).ok());
  }
  model.release();
  for (auto& [request, receiver] : all) {
    const Event event = receiver.wait();
    EXPECT_EQ(event.tokens, alone(request, predict, 128));
    EXPECT_EQ(event.usage.prompt_tokens_cached, 0u) << "its own tokens, taken from the cache again, do not count";
  }
  EXPECT_GE(engine.stats().preemptions, 2u);
}

TEST(EngineConcurrency, ManyDecodeInOneStep) {
  FakeModel model(say(std::string(30, 'x'), 5), 16, 64);
  Engine engine(model.backend(), std::make_shared<FakeTokenizer>(), {.max_sequences = 8, .queue = 8, .step_rows = 64});
  model.hold();
  Receiver receivers[8];
  for (Receiver& receiver : receivers) {
    Request request;
    request.prompt = {1, 2, 3, 4, 5};
    ASSERT_TRUE(engine.submit(request, receiver.sink()).ok());
  }
  model.release();
  for (Receiver& receiver : receivers) EXPECT_EQ(receiver.wait().text, std::string(30, 'x'));
  EXPECT_LE(model.steps(), 33u) << "one after the other would be 248";
}

TEST(EngineConcurrency, CutsItsOptionsToWhatTheModelWasLoadedFor) {
  FakeModel model(babble(), 16, 128);
  Engine engine(model.backend(16, 2), std::make_shared<FakeTokenizer>(),
                {.max_sequences = 8, .queue = 32, .step_rows = 512});
  use_engine(engine, babble(), 128, 1, 20);
}

}  // namespace
}  // namespace hearth::engine::test
