// Many requests at once: each gets the same tokens as alone, whatever is shared, preempted or cut.
#include <array>
#include <initializer_list>
#include <limits>
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
    const Token token = sampler.sample(logits)->token;
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
    request.options.num_predict = static_cast<int>(1 + below(100));
    choose(request.options);
    return request;
  }

  // All that decides whether a few of the logits are enough, and all that must then be as with all of them.
  void choose(sampling::Options& options) {
    options.temperature = one_of({0.0f, 0.9f, 2.5f});
    options.top_k = one_of({40, 1, 2, 7, 8, 31, 0});
    options.top_p = one_of({0.9f, 0.5f, 1.0f});
    options.min_p = one_of({0.0f, 0.0f, 0.1f});
    options.typical_p = one_of({1.0f, 1.0f, 0.7f});
    options.repeat_penalty = one_of({1.0f, 1.2f, 1.2f, 0.8f});
    options.presence_penalty = one_of({0.0f, 0.0f, 1.0f, -1.0f});
    options.frequency_penalty = one_of({0.0f, 0.0f, 0.5f, -0.5f});
    options.repeat_last_n = one_of({64, 3, 0, -1});
    options.mirostat = one_of({0, 0, 0, 1, 2});
    options.logprobs = one_of({0, 0, 1, 5});
    for (size_t i = 0, biases = one_of({0, 0, 1, 3}); i < biases; ++i)
      options.logit_bias[any_token()] = one_of({-std::numeric_limits<float>::infinity(), -2.0f, -1.0f, 2.0f});
  }

 private:
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
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
    const uint32_t most_candidates = round % 2 == 0 ? 0 : 8 + static_cast<uint32_t>(random() % 24);
    FakeModel model(predict, pages, context, most_candidates);
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
    EXPECT_GT(model.full_rows(), 0u);
    EXPECT_EQ(model.candidate_rows() > 0, most_candidates > 0);
  }
}

// Log probabilities too, up to the rounding of the device's sum.
TEST(EngineConcurrency, FewLogitsGiveTheSameAnswersAsAll) {
  RandomRequests random(hearth::test::seed());
  const Predict predict = babble();
  const auto answer = [&](const Request& request, uint32_t most_candidates) {
    FakeModel model(predict, 16, 200, most_candidates);
    Engine engine(model.backend(), std::make_shared<FakeTokenizer>(), {});
    Receiver receiver;
    EXPECT_TRUE(engine.submit(request, receiver.sink()).ok());
    Event event = receiver.wait();
    EXPECT_EQ(model.candidate_rows() + model.full_rows(), event.tokens.size());
    return std::pair(std::move(event), model.candidate_rows() - model.rows_read());
  };
  uint64_t decided_by_few = 0;
  for (int i = 0; i < 300; ++i) {
    const Request request = random.next(100);
    const Event all = answer(request, 0).first;
    const auto [few, candidate_rows] = answer(request, 31);
    decided_by_few += candidate_rows;
    ASSERT_EQ(few.tokens, all.tokens) << "request " << i;
    ASSERT_EQ(few.text, all.text);
    ASSERT_EQ(few.choices.size(), all.choices.size());
    for (size_t c = 0; c < all.choices.size(); ++c) {
      ASSERT_NEAR(few.choices[c].logprob, all.choices[c].logprob, 1e-5);
      ASSERT_EQ(few.choices[c].most_likely.size(), all.choices[c].most_likely.size());
      for (size_t j = 0; j < all.choices[c].most_likely.size(); ++j)
        ASSERT_EQ(few.choices[c].most_likely[j].token, all.choices[c].most_likely[j].token);
    }
  }
  EXPECT_GT(decided_by_few, 400u);
}

// Receivers see what the device does meanwhile: each event but the last is handled while the next step runs, since
// nobody waits for it. If the step waited for the event, this would not end.
TEST(EngineConcurrency, ReceiversWorkWhileTheNextStepRuns) {
  FakeModel model(say("overlap", 5), 16, 96);
  Engine engine(model.backend(), std::make_shared<FakeTokenizer>(), {});
  Receiver receiver;
  uint64_t events = 0;
  const EventSink count = receiver.sink();
  Request request;
  request.prompt = {1, 2, 3, 4, 5};
  request.options.temperature = 0;
  ASSERT_TRUE(engine
                  .submit(request,
                          [&](const Event& event) {
                            ++events;  // from step `events`
                            if (!event.finish) model.wait_for_step(events + 1);
                            count(event);
                          })
                  .ok());
  EXPECT_EQ(receiver.wait().text, "overlap");
  EXPECT_EQ(events, 8u);
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
  for (const auto& [logit_rows, sequences] : {std::pair(2u, 64u), std::pair(64u, 2u)}) {
    FakeModel model(babble(), 16, 128);
    Engine engine(model.backend(16, logit_rows, sequences), std::make_shared<FakeTokenizer>(),
                  {.max_sequences = 8, .queue = 32, .step_rows = 512});
    use_engine(engine, babble(), 128, 1, 20);
  }
}

}  // namespace
}  // namespace hearth::engine::test
