// What one request sees: its text, its end, its counts, its errors.
#include "engine/engine.h"

#include <cmath>
#include <semaphore>
#include <thread>

#include "engine/fake_model.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

class EngineTest : public testing::Test {
 protected:
  // An engine over a model that says `answer` after a prompt of five tokens.
  Engine& start(const std::string& answer, EngineOptions options = {}) { return start(say(answer, 5), options); }
  Engine& start(Predict predict, EngineOptions options = {}, uint32_t context = 96, uint32_t pages = 16) {
    model_ = std::make_unique<FakeModel>(std::move(predict), pages, context);
    engine_ = std::make_unique<Engine>(model_->backend(), std::make_shared<FakeTokenizer>(), options);
    return *engine_;
  }
  RequestId submit(Request request, Receiver& receiver) {
    auto id = engine_->submit(std::move(request), receiver.sink());
    EXPECT_TRUE(id.ok());
    return id.ok() ? *id : 0;
  }
  Event answer(Request request) {
    Receiver receiver;
    submit(std::move(request), receiver);
    Event event = receiver.wait();
    EXPECT_TRUE(receiver.exactly_one_final());
    return event;
  }

  std::unique_ptr<FakeModel> model_;
  std::unique_ptr<Engine> engine_;  // ends first: it uses the model
};

TEST_F(EngineTest, StreamsTheAnswerUntilTheEndToken) {
  start("once upon a time");
  Receiver receiver;
  submit(prompt("hello"), receiver);
  const Event event = receiver.wait();
  EXPECT_EQ(event.text, "once upon a time");
  EXPECT_EQ(event.finish, FinishReason::kStop);
  EXPECT_EQ(event.tokens.back(), FakeTokenizer::kEnd);
  EXPECT_EQ(receiver.texts().size(), 17u) << "one event per token";
  EXPECT_EQ(event.usage.prompt_tokens, 5u);
  EXPECT_EQ(event.usage.generated_tokens, 17u);
  EXPECT_GT(event.usage.prompt.count(), 0);
  EXPECT_GT(event.usage.generation.count(), 0);
}

TEST_F(EngineTest, StopsAtAStopStringAcrossTokenBordersAndHidesIt) {
  start("a cat and a dog");
  Request request = prompt("hello");
  request.options.stop = {"dog"};
  request.stops = {"t a"};  // the chat template's
  Receiver receiver;
  submit(request, receiver);
  const Event event = receiver.wait();
  EXPECT_EQ(event.text, "a ca");
  EXPECT_EQ(event.finish, FinishReason::kStop);
  EXPECT_EQ(event.usage.generated_tokens, 7u);
}

TEST_F(EngineTest, StopsAtAControlTokenThatAStopNamesAlthoughItHasNoText) {
  start("a cat\x1E and a dog");
  EXPECT_EQ(answer(prompt("hello")).text, "a cat and a dog");
  Request by_option = prompt("hello");
  by_option.options.stop = {"<turn>"};
  Request by_template = prompt("hello");
  by_template.stops = {"<turn>"};
  for (const Request& request : {by_option, by_template}) {
    const Event event = answer(request);
    EXPECT_EQ(event.text, "a cat");
    EXPECT_EQ(event.finish, FinishReason::kStop);
    EXPECT_EQ(event.usage.generated_tokens, 6u);
  }
}

TEST_F(EngineTest, ShowsNothingOfTheTokenBehindAStopString) {
  start("a!");  // this ! has half a character behind it
  EXPECT_EQ(answer(prompt("hello")).text, "a!\uFFFD");
  Request request = prompt("hello");
  request.options.stop = {"!"};
  EXPECT_EQ(answer(request).text, "a");
}

TEST_F(EngineTest, ShowsTheBeginningOfAStopStringWhenTheAnswerEndsThere) {
  start("a do");
  Request request = prompt("hello");
  request.options.stop = {"dog"};
  EXPECT_EQ(answer(request).text, "a do");
  request.options.num_predict = 3;
  EXPECT_EQ(answer(request).text, "a d");
}

TEST_F(EngineTest, CutsTheStreamOnlyBetweenCharacters) {
  start("caf\xC3\xA9 \xC3");
  Receiver receiver;
  submit(prompt("hello"), receiver);
  EXPECT_EQ(receiver.wait().text, "café \uFFFD") << "a character that never came is replaced";
  EXPECT_EQ(receiver.texts(), (std::vector<std::string>{"c", "a", "f", "", "é", " ", "", "\uFFFD"}));
}

TEST_F(EngineTest, EndsAfterNumPredictTokens) {
  start("abcdef");
  Request request = prompt("hello");
  request.options.num_predict = 2;
  Event event = answer(request);
  EXPECT_EQ(event.text, "ab");
  EXPECT_EQ(event.finish, FinishReason::kLength);
  request.options.num_predict = 0;
  event = answer(request);
  EXPECT_TRUE(event.tokens.empty());
  EXPECT_EQ(event.finish, FinishReason::kLength);
}

TEST_F(EngineTest, EndsWhenTheContextIsFull) {
  start(say(std::string(200, 'x'), 5), {}, 96);
  const Event event = answer(prompt("hello"));
  EXPECT_EQ(event.finish, FinishReason::kLength);
  EXPECT_EQ(event.tokens.size(), 92u) << "96 positions and the token after the last";
}

TEST_F(EngineTest, EndsWhenThePagesHoldLessThanTheContext) {
  start(say(std::string(200, 'x'), 5), {}, 96, 2);
  EXPECT_EQ(answer(prompt("hello")).tokens.size(), 60u);
  EXPECT_FALSE(engine_->submit(prompt(std::string(65, 'a')), Receiver().sink()).ok());
}

TEST_F(EngineTest, ReportsLogprobsWhenAsked) {
  start("ab");
  Request request = prompt("hello");
  EXPECT_TRUE(answer(request).choices.empty());
  request.options.logprobs = 3;
  const Event event = answer(request);
  ASSERT_EQ(event.choices.size(), event.tokens.size());
  EXPECT_EQ(event.choices[0].token, event.tokens[0]);
  EXPECT_EQ(event.choices[0].most_likely.size(), 3u);
  EXPECT_NEAR(event.choices[0].logprob, 0, 1e-3);
}

TEST_F(EngineTest, TellsHowMuchOfThePromptWasCached) {
  start(say("yes", 70));
  const std::string text(70, 'q');
  EXPECT_EQ(answer(prompt(text)).usage.prompt_tokens_cached, 0u);
  const Event event = answer(prompt(text));
  EXPECT_EQ(event.usage.prompt_tokens_cached, 64u);
  EXPECT_EQ(event.text, "yes");
  EXPECT_EQ(engine_->stats().tokens_cached, 64u);
  EXPECT_EQ(engine_->stats().tokens_prefilled, 76u);
  EXPECT_EQ(engine_->stats().pages_free, 16u);
}

TEST_F(EngineTest, RefusesBadRequestsWithAReason) {
  Engine& engine = start("a");
  ErrorKind kind{};
  const auto message = [&](Request request) {
    const auto result = engine.submit(std::move(request), Receiver().sink());
    EXPECT_FALSE(result.ok());
    if (result.ok()) return std::string();
    kind = result.error().kind;
    return result.error().message;
  };
  EXPECT_NE(message({}).find("empty"), std::string::npos);
  EXPECT_NE(message(prompt(std::string(97, 'a'))).find("97 tokens but the context holds 96"), std::string::npos);
  EXPECT_EQ(kind, ErrorKind::kTooLong);
  Request foreign = prompt("hello");
  foreign.prompt[2] = FakeTokenizer::kVocabulary;
  EXPECT_NE(message(foreign).find("token 2 of the prompt is 32"), std::string::npos);
  foreign.prompt[2] = -1;
  EXPECT_NE(message(foreign).find("token 2 of the prompt is -1"), std::string::npos);
  Request bad_option = prompt("hello");
  bad_option.options.temperature = -1;
  EXPECT_NE(message(bad_option).find("temperature"), std::string::npos);
  EXPECT_EQ(kind, ErrorKind::kUsage);
}

TEST_F(EngineTest, RefusesMoreThanTheQueueHoldsAndTakesMoreAgainLater) {
  Engine& engine = start("a", {.max_sequences = 1, .queue = 2});
  model_->hold();
  Receiver receivers[3], refused;
  for (Receiver& receiver : receivers) submit(prompt("hello"), receiver);
  const auto result = engine.submit(prompt("hello"), refused.sink());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kBusy);
  model_->wait_until_in_forward();
  EXPECT_EQ(engine.stats().running, 1u);
  EXPECT_EQ(engine.stats().waiting, 2u);
  model_->release();
  for (Receiver& receiver : receivers) EXPECT_EQ(receiver.wait().text, "a");
  EXPECT_EQ(answer(prompt("hello")).text, "a");
}

TEST_F(EngineTest, CancelsARunningAndAWaitingRequest) {
  Engine& engine = start(say(std::string(80, 'x'), 5), {.max_sequences = 1});
  Receiver running, waiting;
  model_->hold();
  const RequestId running_id = submit(prompt("hello"), running);
  const RequestId waiting_id = submit(prompt("there"), waiting);
  model_->wait_until_in_forward();
  engine.cancel(waiting_id);
  engine.cancel(running_id);
  model_->release();
  EXPECT_EQ(running.wait().finish, FinishReason::kCancelled);
  EXPECT_TRUE(running.wait().tokens.empty()) << "what the step gives is not wanted any more";
  EXPECT_EQ(waiting.wait().finish, FinishReason::kCancelled);
  EXPECT_TRUE(waiting.wait().tokens.empty());
  engine.cancel(running_id);  // has ended: nothing happens
  engine.cancel(12345);
  EXPECT_EQ(answer(prompt("hello")).tokens.size(), 81u);
  EXPECT_TRUE(running.exactly_one_final());
  EXPECT_EQ(engine.stats().pages_free, 16u);
}

TEST_F(EngineTest, GivesEveryRequestItsFinalEventWhenItEnds) {
  constexpr uint32_t kPages = 1 << 15;  // which no answer fills before the engine ends
  start(say(std::string(kPages * device::kPage_tokens, 'x'), 5), {.max_sequences = 2}, kPages * device::kPage_tokens,
        kPages);
  Receiver receivers[5];
  for (Receiver& receiver : receivers) submit(prompt("hello"), receiver);
  receivers[1].wait_for_tokens(1);
  engine_.reset();
  for (Receiver& receiver : receivers) {
    EXPECT_TRUE(receiver.exactly_one_final());
    EXPECT_EQ(receiver.wait().finish, FinishReason::kCancelled);
  }
}

TEST_F(EngineTest, EndsTheRequestsOfAFailedStepWithTheErrorAndServesTheOthers) {
  start(say("fine", 70), {.max_sequences = 2});
  const std::string known(70, 'q'), other(70, 'r');
  answer(prompt(known));  // leaves a cached prefix
  Receiver first, second, third;
  model_->hold();
  submit(prompt(other), first);
  model_->wait_until_in_forward();
  submit(prompt(other), second);
  submit(prompt(known), third);
  model_->fail_after(1);  // the step after the one that is held
  model_->release();
  for (Receiver* receiver : {&first, &second}) {
    const Event event = receiver->wait();
    EXPECT_EQ(event.finish, FinishReason::kError);
    ASSERT_TRUE(event.error.has_value());
    EXPECT_EQ(event.error->message, "the fake device fell over");
  }
  EXPECT_EQ(third.wait().text, "fine");
  EXPECT_EQ(third.wait().usage.prompt_tokens_cached, 0u) << "the cache was lost";
  EXPECT_EQ(answer(prompt(known)).text, "fine");
  EXPECT_EQ(model_->unwritten_reads(), 0u);
}

// A model whose logits are broken where a text has a z; which of them, and how it is read, does not matter.
class BrokenNumbers : public EngineTest, public testing::WithParamInterface<std::tuple<float, uint32_t>> {
 protected:
  void start_broken() {
    const auto [bad, most_candidates] = GetParam();
    const auto predict = [bad = bad, sound = say("fine", 70)](std::span<const Token> tokens, std::span<float> logits) {
      sound(tokens, logits);
      if (std::ranges::find(tokens, 26) != tokens.end()) logits[11] = bad;
    };
    model_ = std::make_unique<FakeModel>(predict, 16, 96, most_candidates);
    Backend backend = model_->backend();
    backend.diagnose = [this](const device::Batch& batch) {
      diagnosed_.emplace_back(batch.tokens.begin(), batch.tokens.end());
      return Error{ErrorKind::kInvalidData, "layer 3 is broken"};
    };
    engine_ = std::make_unique<Engine>(backend, std::make_shared<FakeTokenizer>(), EngineOptions{.max_sequences = 3});
  }
  void expect_broken(const Event& event) {
    EXPECT_EQ(event.finish, FinishReason::kError);
    EXPECT_TRUE(event.tokens.empty());
    ASSERT_TRUE(event.error.has_value());
    EXPECT_EQ(event.error->message, "layer 3 is broken");
  }

  std::vector<std::vector<Token>> diagnosed_;  // the engine's thread's own while it works
};

TEST_P(BrokenNumbers, EndTheirRequestAndNoOther) {
  start_broken();
  const std::string sound(70, 'q'), broken = std::string(69, 'q') + "z";
  Receiver first, second, third;
  model_->hold();
  submit(prompt(sound), first);
  model_->wait_until_in_forward();
  submit(prompt(broken), second);
  submit(prompt(sound), third);
  model_->release();
  EXPECT_EQ(first.wait().text, "fine");
  expect_broken(second.wait());
  EXPECT_EQ(third.wait().text, "fine");
  EXPECT_EQ(engine_->stats().preemptions, 0u);
  EXPECT_LE(model_->steps(), 7u) << "nothing was computed twice";
  ASSERT_EQ(diagnosed_.size(), 1u);
  EXPECT_EQ(diagnosed_[0].back(), 26) << "the request's own rows alone";
}

TEST_P(BrokenNumbers, LeaveThePrefixCache) {
  start_broken();
  const std::string broken = "z" + std::string(69, 'q');
  for (const int num_predict : {0, 5, 0}) {
    Request request = prompt(broken);
    request.options.num_predict = num_predict;
    const Event event = answer(request);
    expect_broken(event);
    EXPECT_EQ(event.usage.prompt_tokens_cached, 0u);
  }
  answer(prompt(std::string(70, 'q')));
  EXPECT_GT(answer(prompt(std::string(70, 'q'))).usage.prompt_tokens_cached, 0u);
}

INSTANTIATE_TEST_SUITE_P(Values, BrokenNumbers,
                         testing::Combine(testing::Values(NAN, INFINITY, -INFINITY), testing::Values(0u, 16u)));

TEST_F(EngineTest, BanningAllTokensIsTheRequestsOwnError) {
  start("abc");
  Request request = prompt("hello");
  for (Token token = 0; token < FakeTokenizer::kVocabulary; ++token) request.options.logit_bias[token] = -INFINITY;
  const Event event = answer(request);
  EXPECT_EQ(event.finish, FinishReason::kError);
  ASSERT_TRUE(event.error.has_value());
  EXPECT_EQ(event.error->kind, ErrorKind::kUsage);
  EXPECT_EQ(answer(prompt("hello")).text, "abc");
}

TEST_F(EngineTest, AnExceptionFailsTheStepAndNotTheProcess) {
  start("fine", {.max_sequences = 2});
  Receiver first, second;
  model_->hold();
  submit(prompt("hello"), first);
  model_->wait_until_in_forward();
  submit(prompt("there"), second);
  model_->throw_after(1);
  model_->release();
  for (Receiver* receiver : {&first, &second}) {
    const Event event = receiver->wait();
    EXPECT_TRUE(receiver->exactly_one_final());
    EXPECT_EQ(event.finish, FinishReason::kError);
    ASSERT_TRUE(event.error.has_value());
    EXPECT_EQ(event.error->kind, ErrorKind::kNoMemory);
  }
  EXPECT_EQ(answer(prompt("hello")).text, "fine");
  EXPECT_EQ(engine_->stats().pages_free, 16u);
}

TEST_F(EngineTest, AnExceptionBetweenStepsFailsWhatWasAskedFor) {
  model_ = std::make_unique<FakeModel>(say("fine", 5), 16, 96);
  Backend backend = model_->backend();
  backend.rearrange = [](const placement::Arrangement&) -> Status { throw std::bad_alloc(); };
  backend.maintain = []() -> Result<bool> { throw std::runtime_error("no free memory can be seen"); };
  backend.maintain_interval = std::chrono::milliseconds(0);
  engine_ = std::make_unique<Engine>(backend, std::make_shared<FakeTokenizer>(), EngineOptions{});
  const Status moved = engine_->rebalance({});
  ASSERT_FALSE(moved.ok());
  EXPECT_EQ(moved.error().kind, ErrorKind::kNoMemory);
  EXPECT_EQ(answer(prompt("hello")).text, "fine");
}

TEST_F(EngineTest, CountsTokensAndTheTimeInTheQueue) {
  start("abc", {.max_sequences = 1});
  Receiver first, second;
  model_->hold();
  submit(prompt("hello"), first);
  submit(prompt("there"), second);
  const auto submitted = std::chrono::steady_clock::now();
  model_->wait_until_in_forward();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const auto released = std::chrono::steady_clock::now();
  model_->release();
  EXPECT_EQ(first.wait().text, "abc");
  EXPECT_GE(second.wait().usage.queued, released - submitted);
  EXPECT_EQ(engine_->stats().tokens_generated, 8u);
  EXPECT_EQ(engine_->stats().tokens_prefilled, 10u);
}

TEST_F(EngineTest, ASinkThatThrowsEndsOnlyItsOwnRequest) {
  start("abcdef", {.max_sequences = 2});
  std::atomic<int> calls = 0, finals = 0;
  auto id = engine_->submit(prompt("hello"), [&](const Event& event) {
    finals += event.finish == FinishReason::kCancelled;
    if (++calls >= 2) throw std::runtime_error("the reader went away");
  });
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(answer(prompt("there")).text, "abcdef");
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(finals, 1);
}

TEST_F(EngineTest, ASinkMaySubmitAndCancel) {
  Engine& engine = start("abc", {.max_sequences = 1, .queue = 0});
  Receiver second;
  auto id = engine.submit(prompt("hello"), [&](const Event& event) {
    if (event.finish) submit(prompt("there"), second);
  });
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(second.wait().text, "abc");

  std::atomic<RequestId> own = 0;
  Receiver third;
  model_->hold();
  own = *engine.submit(prompt("hello"), [&, sink = third.sink()](const Event& event) {
    sink(event);
    engine.cancel(own);
  });
  model_->release();
  EXPECT_EQ(third.wait().finish, FinishReason::kCancelled);
  EXPECT_EQ(third.wait().text, "a");
}

// Its thread comes round some times, to look at memory, and finds nothing to compute.
TEST_F(EngineTest, TakesNoStepWhenThereIsNothingToDo) {
  start("abc");
  Backend backend = model_->backend();
  std::counting_semaphore looks(0);
  backend.maintain_interval = std::chrono::milliseconds(1);
  backend.maintain = [&]() -> Result<bool> {
    looks.release();
    return false;
  };
  engine_ = std::make_unique<Engine>(backend, std::make_shared<FakeTokenizer>(), EngineOptions{});
  answer(prompt("hello"));
  const uint64_t steps = model_->steps();
  EXPECT_GT(steps, 0u);
  while (looks.try_acquire()) {
  }
  for (int i = 0; i < 5; ++i) looks.acquire();
  EXPECT_EQ(model_->steps(), steps);
  engine_.reset();
}

}  // namespace
}  // namespace hearth::engine::test
