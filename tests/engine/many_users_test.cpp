// What requests of many users ask for beside their answers: time, shares, separate caches, grammars; and that nobody
// harms another.
#include <semaphore>
#include <thread>

#include "base/thread_pool.h"
#include "engine/engine.h"
#include "engine/event_queue.h"
#include "engine/fake_model.h"
#include "sampling/constraint.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class ManyUsers : public testing::Test {
 protected:
  Engine& start(Predict predict, EngineOptions options = {}, uint32_t most_candidates = 0, uint32_t pages = 64) {
    model_ = std::make_unique<FakeModel>(std::move(predict), pages, 1000, most_candidates);
    engine_ = std::make_unique<Engine>(model_->backend(), std::make_shared<FakeTokenizer>(), options);
    return *engine_;
  }
  Event answer(const Request& request) {
    Receiver receiver;
    EXPECT_TRUE(engine_->submit(request, receiver.sink()).ok());
    return receiver.wait();
  }

  std::unique_ptr<FakeModel> model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(ManyUsers, ARequestEndsWhenItsTimeIsOverWhetherItRunsOrWaits) {
  Engine& engine = start(say(std::string(900, 'x'), 5), {.max_sequences = 1});
  model_->hold();
  Receiver running, waiting, other;
  Request request = prompt("hello");
  request.deadline = steady_clock::now() + milliseconds(1);
  ASSERT_TRUE(engine.submit(request, running.sink()).ok());
  ASSERT_TRUE(engine.submit(request, waiting.sink()).ok());
  request.deadline = steady_clock::now() + std::chrono::hours(1);
  request.options.num_predict = 3;
  ASSERT_TRUE(engine.submit(request, other.sink()).ok());
  std::this_thread::sleep_for(milliseconds(2));
  model_->release();
  for (Receiver* receiver : {&running, &waiting}) {
    const Event event = receiver->wait();
    EXPECT_EQ(event.finish, FinishReason::kError);
    ASSERT_TRUE(event.error.has_value());
    EXPECT_EQ(event.error->kind, ErrorKind::kTimeout);
  }
  EXPECT_EQ(other.wait().text, "xxx");
}

TEST_F(ManyUsers, DrainingFinishesWhatRunsAndAcceptsNothingMore) {
  Engine& engine = start(say("abc", 5), {.max_sequences = 1});
  model_->hold();
  Receiver first, second;
  ASSERT_TRUE(engine.submit(prompt("hello"), first.sink()).ok());
  ASSERT_TRUE(engine.submit(prompt("hello"), second.sink()).ok());
  bool all = false;
  std::thread drains([&] { all = engine.drain(steady_clock::now() + std::chrono::hours(1)); });
  while (engine.submit(prompt(""), Receiver().sink()).error().kind != ErrorKind::kUsage) {
  }
  for (;;) {  // until it refuses
    const auto id = engine.submit(prompt("hello"), Receiver().sink());
    if (!id.ok()) {
      EXPECT_EQ(id.error().kind, ErrorKind::kCancelled);
      break;
    }
    engine.cancel(*id);
  }
  model_->release();
  drains.join();
  EXPECT_TRUE(all);
  EXPECT_EQ(first.wait().text, "abc");
  EXPECT_EQ(second.wait().text, "abc");
}

TEST_F(ManyUsers, DrainingCancelsWhatTakesTooLong) {
  Engine& engine = start(say(std::string(900, 'x'), 5), {.max_sequences = 1});
  model_->hold();
  Receiver first, second;
  ASSERT_TRUE(engine.submit(prompt("hello"), first.sink()).ok());
  ASSERT_TRUE(engine.submit(prompt("hello"), second.sink()).ok());
  model_->wait_until_in_forward();
  bool all = true;
  std::thread drains([&] { all = engine.drain(steady_clock::now() - milliseconds(1)); });
  std::this_thread::sleep_for(milliseconds(20));
  model_->release();
  drains.join();
  EXPECT_FALSE(all);
  EXPECT_EQ(first.wait().finish, FinishReason::kCancelled);
  EXPECT_EQ(second.wait().finish, FinishReason::kCancelled);
}

TEST_F(ManyUsers, AnAnswerGoesOnForAsLongAsItMust) {
  // The end is the likeliest everywhere, an x comes next.
  const Predict ends = [](std::span<const Token>, std::span<float> logits) {
    std::ranges::fill(logits, 0.0f);
    logits[FakeTokenizer::kEnd] = 9;
    logits[24] = 5;
  };
  for (const uint32_t most_candidates : {0u, 2u}) {
    start(ends, {}, most_candidates);
    Request request = prompt("hello");
    EXPECT_EQ(answer(request).text, "");
    request.min_tokens = 4;
    EXPECT_EQ(answer(request).text, "xxxx");
    request.ignore_eos = true;
    request.options.num_predict = 9;
    const Event event = answer(request);
    EXPECT_EQ(event.text, "xxxxxxxxx");
    EXPECT_EQ(event.finish, FinishReason::kLength);
  }
}

TEST_F(ManyUsers, SaltsKeepPrefixesApart) {
  start(say("yes", 70));
  Request request = prompt(std::string(70, 'q'));
  EXPECT_EQ(answer(request).usage.prompt_tokens_cached, 0u);
  EXPECT_EQ(answer(request).usage.prompt_tokens_cached, 64u);
  request.cache_salt = 7;
  EXPECT_EQ(answer(request).usage.prompt_tokens_cached, 0u);
  EXPECT_EQ(answer(request).usage.prompt_tokens_cached, 64u);
  request.user = "another";
  EXPECT_EQ(answer(request).usage.prompt_tokens_cached, 64u) << "users share unless they do not want to";
}

TEST_F(ManyUsers, SeveralAnswersComputeTheirPromptOnce) {
  Engine& engine = start(babble(30), {.max_sequences = 8, .queue = 0});
  Request request = prompt(std::string(100, 'q'));
  request.options = {};
  request.options.seed = 5;
  request.options.num_predict = 20;
  std::vector<Receiver> receivers(4);
  std::vector<EventSink> sinks;
  for (Receiver& receiver : receivers) sinks.push_back(receiver.sink());
  const auto ids = engine.submit(request, sinks);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->size(), 4u);
  std::vector<Event> answers;
  for (Receiver& receiver : receivers) answers.push_back(receiver.wait());
  EXPECT_EQ(engine.stats().tokens_cached, 3u * 96);
  EXPECT_EQ(engine.stats().tokens_prefilled, 100u + 3 * 4);
  EXPECT_NE(answers[0].tokens, answers[1].tokens);
  for (size_t i = 0; i < answers.size(); ++i) {
    request.options.seed = 5 + static_cast<int64_t>(i);
    EXPECT_EQ(answer(request).tokens, answers[i].tokens);
  }
  EXPECT_EQ(engine.submit(request, std::vector<EventSink>(9, sinks[0])).error().kind, ErrorKind::kBusy) << "all or none";
}

TEST_F(ManyUsers, SinksThatBlockHoldUpNobodyElse) {
  Engine& engine = start(say("abcdefgh", 5), {.max_sequences = 8});
  std::counting_semaphore blocked(0);
  std::vector<Receiver> slow(4);
  std::vector<uint32_t> calls(4);
  for (size_t i = 0; i < slow.size(); ++i)
    ASSERT_TRUE(engine
                    .submit(prompt("hello"),
                            [&, i, sink = slow[i].sink()](const Event& event) {
                              ++calls[i];
                              blocked.acquire();
                              sink(event);
                              blocked.release();
                            })
                    .ok());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer(prompt("there")).text, "abcdefgh");
  blocked.release();
  for (size_t i = 0; i < slow.size(); ++i) {
    EXPECT_EQ(slow[i].wait().text, "abcdefgh");
    EXPECT_TRUE(slow[i].exactly_one_final());
  }
  engine_.reset();
  for (const uint32_t count : calls) EXPECT_LE(count, 4u) << "what came meanwhile is one event";
}

TEST(EventQueue, GivesWhatCameMeanwhileAsOneEventAndRefusesTooMuch) {
  EventQueue queue;
  EXPECT_FALSE(queue.pop(milliseconds(0)).has_value());
  const EventSink sink = queue.sink();
  for (const char* text : {"a", "b", "c"}) {
    Event event;
    event.text = text;
    event.tokens = {1};
    sink(event);
  }
  const std::optional<Event> event = queue.pop(milliseconds(0));
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->text, "abc");
  EXPECT_EQ(event->tokens.size(), 3u);
  EXPECT_FALSE(event->finish.has_value());
  Event large;
  large.text.resize(5 << 20);
  sink(large);
  EXPECT_THROW(sink(large), std::runtime_error);
  Event last;
  last.finish = FinishReason::kCancelled;
  sink(last);
  EXPECT_EQ(queue.pop(milliseconds(0))->finish, FinishReason::kCancelled);
}

// "yes" or "no", then " sir", then the end.
class Politeness : public sampling::Constraint {
 public:
  Status allowed(sampling::TokenMask mask) override {
    std::ranges::fill(mask, 0);
    for (Token token = 0; token < FakeTokenizer::kVocabulary; ++token)
      if (is_allowed(token)) mask[0] |= uint64_t{1} << token;
    return {};
  }
  bool is_allowed(int32_t token) override {
    const std::string longer = text_ + FakeTokenizer().piece(token, false);
    if (token == FakeTokenizer::kEnd) return may_end();
    return longer.size() > text_.size() &&
           (std::string_view("yes sir").starts_with(longer) || std::string_view("no sir").starts_with(longer));
  }
  bool accept(int32_t token) override {
    if (!is_allowed(token)) return false;
    text_ += FakeTokenizer().piece(token, false);
    return true;
  }
  void rollback(size_t count) override { text_.resize(text_.size() - count); }
  std::vector<int32_t> forced() override {
    const std::string whole = text_.starts_with("y") ? "yes sir" : text_.starts_with("n") ? "no sir" : text_;
    return FakeTokenizer().encode(whole.substr(text_.size()), {});
  }
  bool may_end() const override { return text_.ends_with("sir"); }
  bool ended() const override { return may_end(); }
  std::unique_ptr<Constraint> clone() const override { return std::make_unique<Politeness>(*this); }

 private:
  std::string text_;
};

TEST_F(ManyUsers, AGrammarRulesWhatMayComeAndWhatIsForcedIsNotSampled) {
  for (const uint32_t most_candidates : {0u, 4u}) {
    start(say("never mind", 5), {.max_sequences = 4}, most_candidates);
    Request request = prompt("hello");
    request.constraint = std::make_shared<Politeness>();
    const Event event = answer(request);
    EXPECT_EQ(event.text, "no sir");
    EXPECT_EQ(event.finish, FinishReason::kStop);
    EXPECT_EQ(event.usage.generated_tokens, 6u);
    EXPECT_EQ(model_->steps(), 1u) << "one token was sampled, the others have no choice";
    EXPECT_EQ(answer(prompt("hello")).text, "never mind");

    request.constraint = std::make_shared<Politeness>();
    request.options.logprobs = 1;
    const Event with_logprobs = answer(request);
    EXPECT_EQ(with_logprobs.text, "no sir");
    EXPECT_EQ(with_logprobs.choices.size(), 6u);

    request.options = {};
    request.options.top_k = 0;
    request.options.temperature = 30;
    std::vector<Receiver> receivers(4);
    std::vector<EventSink> sinks;
    for (Receiver& receiver : receivers) sinks.push_back(receiver.sink());
    request.constraint = std::make_shared<Politeness>();
    ASSERT_TRUE(engine_->submit(request, sinks).ok());
    for (Receiver& receiver : receivers) {
      const std::string text = receiver.wait().text;
      EXPECT_TRUE(text == "no sir" || text == "yes sir") << text;
    }
  }
}

TEST_F(ManyUsers, ARowWhoseBestTokensAreNotAllowedIsReadWhole) {
  start(say("maybe", 5), {}, 4);
  Request request = prompt("hello");
  request.constraint = std::make_shared<Politeness>();
  EXPECT_EQ(answer(request).text, "no sir");
  EXPECT_EQ(model_->rows_read(), 1u);
}

TEST_F(ManyUsers, SequencesOfAStepAreSampledOnAPool) {
  FakeModel model(babble(1'000'000), 64, 1000, 8);
  Backend backend = model.backend();
  ThreadPool pool(3);
  std::atomic<uint32_t> sections = 0, items = 0;
  backend.parallel = [&](uint32_t count, const std::function<void(uint32_t)>& body) {
    ++sections;
    items += count;
    pool.for_each(count, [&](uint32_t i, int) { body(i); });
  };
  Engine engine(backend, std::make_shared<FakeTokenizer>(), {.max_sequences = 8});
  Request request = prompt("hello");
  request.options = {};
  request.options.top_k = 0;
  request.options.num_predict = 50;
  std::vector<Event> alone;
  const auto sinks_of = [](std::vector<Receiver>& receivers) {
    std::vector<EventSink> sinks;
    for (Receiver& receiver : receivers) sinks.push_back(receiver.sink());
    return sinks;
  };
  request.options.seed = 3;
  std::vector<Receiver> together(8);
  ASSERT_TRUE(engine.submit(request, sinks_of(together)).ok());
  for (int i = 0; i < 8; ++i) {
    request.options.seed = 3 + i;
    Receiver receiver;
    ASSERT_TRUE(engine.submit(request, receiver.sink()).ok());
    EXPECT_EQ(receiver.wait().tokens, together[static_cast<size_t>(i)].wait().tokens);
  }
  EXPECT_GT(items, 6 * sections);
}

// The device takes a millisecond a row here: who generates gets a token about every 10 ms although a prompt of 400 ms
// is computed beside.
TEST_F(ManyUsers, ALongPromptDoesNotHoldUpTheOthersNextTokens) {
  FakeModel model(babble(1'000'000), 64, 1000);
  Backend backend = model.backend();
  std::atomic<uint32_t> largest = 0;
  std::atomic<bool> late = false;
  const auto forward = backend.forward;
  backend.forward = [&](const device::Batch& batch, device::Readout& readout) {
    std::this_thread::sleep_for(milliseconds(batch.rows()));
    if (late) largest = std::max(largest.load(), batch.rows());
    return forward(batch, readout);
  };
  Engine engine(backend, std::make_shared<FakeTokenizer>(), {.max_sequences = 4, .step_bound = milliseconds(10)});
  Receiver decodes, prefills;
  Request request = prompt("hello");
  request.options.num_predict = 60;
  ASSERT_TRUE(engine.submit(request, decodes.sink()).ok());
  decodes.wait_for_tokens(5);
  late = true;
  request = prompt(std::string(400, 'q'));
  request.options.num_predict = 1;
  ASSERT_TRUE(engine.submit(request, prefills.sink()).ok());
  EXPECT_EQ(prefills.wait().tokens.size(), 1u);
  EXPECT_LE(largest, 33u) << "a page and the other's row; what the bound alone allows is less";
}

// 200 submitters, 64 running: every request has one final event, and every answer is the one alone.
TEST_F(ManyUsers, TwoHundredSubmittersGetTheAnswersThatTheyGetAlone) {
  const Predict predict = babble(60);
  FakeModel model(predict, 300, 400, 16);
  ThreadPool pool(2);
  Backend backend = model.backend();
  backend.parallel = [&](uint32_t count, const std::function<void(uint32_t)>& body) {
    pool.for_each(count, [&](uint32_t i, int) { body(i); });
  };
  const auto make = [](uint64_t number, std::mt19937_64& random) {
    Request request = prompt(std::string(random() % 90, 'q'));
    for (size_t i = 0, more = 1 + random() % 60; i < more; ++i)
      request.prompt.push_back(static_cast<Token>(1 + random() % 29));
    request.options = {};
    request.options.seed = static_cast<int64_t>(number);
    request.options.num_predict = static_cast<int>(1 + random() % 60);
    request.options.top_k = random() % 2 == 0 ? 0 : 5;
    request.options.top_p = random() % 2 == 0 ? 1.0f : 0.9f;
    request.options.temperature = random() % 3 == 0 ? 0.0f : 1.0f;
    request.user = std::to_string(number % 7);
    request.priority = number % 11 == 0 ? 1 : 0;
    request.cache_salt = number % 5 == 0 ? 1 : 0;
    return request;
  };
  constexpr uint64_t kSubmitters = 200;
  struct Sent {
    Request request;
    Receiver receiver;
    bool cancelled = false;
  };
  std::vector<Sent> sent(kSubmitters * 2);
  {
    Engine engine(backend, std::make_shared<FakeTokenizer>(), {.max_sequences = 64, .queue = 1000});
    std::vector<std::thread> submitters;
    const uint64_t seed = hearth::test::seed();
    for (uint64_t i = 0; i < kSubmitters; ++i)
      submitters.emplace_back([&, i] {
        std::mt19937_64 random(seed + i);
        for (Sent& one : std::span(sent).subspan(i * 2, 2)) {
          one.request = make(i, random);
          const auto id = engine.submit(one.request, one.receiver.sink());
          ASSERT_TRUE(id.ok());
          if (random() % 5 != 0) continue;
          one.cancelled = true;
          one.receiver.wait_for_tokens(random() % 10);
          engine.cancel(*id);
        }
      });
    for (std::thread& submitter : submitters) submitter.join();
    for (Sent& one : sent) one.receiver.wait();
    EXPECT_EQ(engine.stats().running + engine.stats().waiting, 0u);
    EXPECT_EQ(engine.stats().pages_free, engine.stats().pages_total);
  }
  EXPECT_EQ(model.unwritten_reads(), 0u);
  FakeModel quiet(predict, 300, 400, 16);
  Engine alone(quiet.backend(), std::make_shared<FakeTokenizer>(), {});
  for (Sent& one : sent) {
    ASSERT_TRUE(one.receiver.exactly_one_final());
    const Event event = one.receiver.wait();
    Receiver receiver;
    ASSERT_TRUE(alone.submit(one.request, receiver.sink()).ok());
    std::vector<Token> expected = receiver.wait().tokens;
    if (event.finish == FinishReason::kCancelled) {
      ASSERT_TRUE(one.cancelled);
      ASSERT_LE(event.tokens.size(), expected.size());
      expected.resize(event.tokens.size());
    }
    ASSERT_EQ(event.tokens, expected);
  }
}

}  // namespace
}  // namespace hearth::engine::test
