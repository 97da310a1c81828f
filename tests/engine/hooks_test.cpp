// What models bring that are more than tokens to tokens: rows in place of tokens (vision), rows through adapters
// (LoRA), sequences that are seen as a whole and become vectors (encoders).
#include <cmath>
#include <latch>
#include <map>

#include "engine/engine.h"
#include "engine/fake_model.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

class Hooks : public testing::Test {
 protected:
  void start(EngineOptions options = {.max_sequences = 8}) {
    engine_.reset();
    model_ = std::make_unique<FakeModel>(babble(), 64, 1000);
    engine_ = std::make_unique<Engine>(model_->backend(), std::make_shared<FakeTokenizer>(), options);
  }
  Event answer(const Request& request) {
    Receiver receiver;
    EXPECT_TRUE(engine_->submit(request, receiver.sink()).ok());
    return receiver.wait();
  }
  Error refusal(const Request& request) {
    const auto refused = engine_->submit(request, Receiver().sink());
    return refused.ok() ? Error{ErrorKind::kIo, "it was accepted"} : refused.error();
  }
  static Request request(size_t tokens, uint32_t adapter = 0) {
    Request request = prompt(std::string(tokens, 'a'));
    request.options.num_predict = 30;
    request.adapter = adapter;
    return request;
  }
  // Rows whose first values are these tokens.
  static EmbeddedPart image(uint32_t first, const std::vector<Token>& tokens, uint64_t key) {
    std::vector<float> values;
    for (const Token token : tokens) values.insert(values.end(), {static_cast<float>(token), 0, 0});
    return {first, std::make_shared<const std::vector<float>>(std::move(values)), key};
  }

  std::unique_ptr<FakeModel> model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(Hooks, RowsInPlaceOfTokensAreReadAsSuchHoweverThePromptIsCut) {
  const std::vector<Token> seen{3, 9, 4, 4, 11, 2, 5, 6, 7, 8};
  Request as_tokens = request(100);
  std::ranges::copy(seen, as_tokens.prompt.begin() + 40);
  start();
  const std::vector<Token> expected = answer(as_tokens).tokens;
  for (const uint32_t step_rows : {32, 33, 45, 512}) {
    start({.max_sequences = 8, .step_rows = step_rows});
    Request with_image = request(100);
    with_image.embedded = {image(40, {3, 9, 4, 4}, 1), image(44, {11, 2, 5, 6, 7, 8}, 2)};
    EXPECT_EQ(answer(with_image).tokens, expected) << step_rows;
    EXPECT_NE(answer(request(100)).tokens, expected);
  }
}

// What lies before an image is everybody's, what lies behind it only of those who have the same image there.
TEST_F(Hooks, ImagesPartitionThePrefixCache) {
  start();
  const auto with = [&](const std::vector<Token>& tokens, uint64_t key) {
    Request one = request(160);
    one.embedded = {image(70, tokens, key)};
    return answer(one);
  };
  const Event first = with({3, 9}, 1);
  EXPECT_EQ(first.usage.prompt_tokens_cached, 0u);
  const Event other = with({4, 8}, 2);
  EXPECT_EQ(other.usage.prompt_tokens_cached, 64u) << "two pages before the image";
  EXPECT_NE(other.tokens, first.tokens);
  const Event again = with({3, 9}, 1);
  EXPECT_EQ(again.usage.prompt_tokens_cached, 128u);
  EXPECT_EQ(again.tokens, first.tokens);
  EXPECT_EQ(answer(request(160)).usage.prompt_tokens_cached, 64u);
}

// What the model is told of a picture whose rows see one another, and of where rows stand (M-RoPE).
TEST_F(Hooks, PicturesAreComputedWholeAndStandInRowsAndColumns) {
  struct Told {
    uint32_t position, end;  // of a row that sees ahead; 0: it does not
    device::Place place;
  };
  for (const uint32_t step_rows : {64, 512}) {
    std::map<uint32_t, Told> rows;
    model_ = std::make_unique<FakeModel>(babble(), 64, 1000);
    Backend backend = model_->backend();
    backend.forward = [&, inner = backend.forward](const device::Batch& batch, device::Readout& readout) {
      for (uint32_t row = 0; row < batch.rows(); ++row) {
        const uint32_t position = batch.sequences[0].first_position + row;
        rows[position] = {position, 0, batch.places.at(row)};
        for (const device::AheadRows& ahead : batch.ahead)
          if (row >= ahead.first_row && row < ahead.first_row + ahead.rows) rows[position].end = ahead.end;
      }
      return inner(batch, readout);
    };
    engine_ =
        std::make_unique<Engine>(backend, std::make_shared<FakeTokenizer>(), EngineOptions{.step_rows = step_rows});
    Request one = request(100);
    one.embedded = {image(50, std::vector<Token>(24, 3), 1), image(80, {1, 2}, 2)};
    one.embedded[0].together = true;
    one.embedded[0].columns = 6;
    one.embedded[0].rows = 4;
    answer(one);
    EXPECT_EQ(rows.at(49).end, 0u);
    for (uint32_t at = 50; at < 74; ++at) EXPECT_EQ(rows.at(at).end, 74u) << at;
    EXPECT_EQ(rows.at(80).end, 0u);
    EXPECT_EQ(rows.at(49).place, (device::Place{49, 49, 49}));
    EXPECT_EQ(rows.at(50).place, (device::Place{50, 50, 50}));
    EXPECT_EQ(rows.at(63).place, (device::Place{50, 52, 51}));
    EXPECT_EQ(rows.at(74).place, (device::Place{56, 56, 56})) << "behind its larger side";
    EXPECT_EQ(rows.at(100).place, (device::Place{82, 82, 82})) << "also what is generated";
    engine_.reset();
  }
}

TEST_F(Hooks, RowsThatAreNoneAreRefused) {
  start();
  Request one = request(20);
  one.embedded = {image(18, {1, 2, 3}, 1)};
  EXPECT_EQ(refusal(one).kind, ErrorKind::kUsage) << "beyond the prompt";
  one.embedded = {image(3, {1, 2, 3}, 1), image(5, {1}, 2)};
  EXPECT_EQ(refusal(one).kind, ErrorKind::kUsage) << "one over the other";
  one.embedded = {{0, std::make_shared<const std::vector<float>>(FakeModel::kWidth + 1), 1}};
  EXPECT_EQ(refusal(one).kind, ErrorKind::kUsage) << "no whole rows";
  one.embedded = {image(0, {}, 1)};
  EXPECT_EQ(refusal(one).kind, ErrorKind::kUsage) << "none at all";
  one.embedded = {image(0, {1, 2, 3, 4}, 1)};
  one.embedded[0].columns = one.embedded[0].rows = 3;
  EXPECT_EQ(refusal(one).kind, ErrorKind::kUsage) << "not so many rows and columns";
  start({.max_sequences = 8, .step_rows = 33});
  Request large = request(60);
  large.embedded = {image(3, std::vector<Token>(40, 1), 1)};
  large.embedded[0].together = true;
  EXPECT_EQ(refusal(large).kind, ErrorKind::kTooLong) << "it does not fit into a step";
}

TEST_F(Hooks, AnswersOfAdaptersInOneBatchAreAsIfEachWereAlone) {
  std::map<std::pair<size_t, uint32_t>, std::vector<Token>> alone;
  for (uint32_t adapter = 0; adapter <= FakeModel::kAdapters; ++adapter)
    for (const size_t tokens : {5, 70}) {
      start();
      alone[{tokens, adapter}] = answer(request(tokens, adapter)).tokens;
    }
  EXPECT_NE((alone[{70, 1}]), (alone[{70, 2}]));
  start({.max_sequences = 16});
  model_->hold();
  std::vector<std::pair<std::pair<size_t, uint32_t>, Receiver>> receivers;
  for (int round = 0; round < 2; ++round)
    for (const auto& [key, tokens] : alone) {
      receivers.emplace_back(key, Receiver());
      ASSERT_TRUE(engine_->submit(request(key.first, key.second), receivers.back().second.sink()).ok());
    }
  model_->release();
  for (auto& [key, receiver] : receivers)
    EXPECT_EQ(receiver.wait().tokens, alone[key]) << key.first << " tokens, adapter " << key.second;
  EXPECT_EQ(model_->most_ranges(), FakeModel::kAdapters) << "one range for each, whoever else runs";
  EXPECT_EQ(model_->unwritten_reads(), 0u);
}

TEST_F(Hooks, AdaptersPartitionThePrefixCache) {
  start();
  answer(request(100, 1));
  EXPECT_EQ(answer(request(100, 2)).usage.prompt_tokens_cached, 0u);
  EXPECT_EQ(answer(request(100)).usage.prompt_tokens_cached, 0u);
  EXPECT_EQ(answer(request(100, 1)).usage.prompt_tokens_cached, 96u);
  EXPECT_EQ(refusal(request(100, FakeModel::kAdapters + 1)).kind, ErrorKind::kUnsupported);
}

// An encoder: every row depends on all of its sequence, before and behind it.
class Encoder : public testing::Test {
 protected:
  static constexpr uint32_t kWidth = 2;

  void start(EngineOptions options, uint32_t batch_rows = 64) {
    Backend backend;
    backend.vocabulary = FakeTokenizer::kVocabulary;
    backend.context = 1000;
    backend.batch_rows = batch_rows;
    backend.logit_rows = backend.sequences = 8;
    backend.width = kWidth;
    backend.whole = true;
    backend.forward = [this](const device::Batch& batch, device::Readout& readout) { return forward(batch, readout); };
    engine_ = std::make_unique<Engine>(backend, std::make_shared<FakeTokenizer>(), options);
  }
  static float row_value(std::span<const Token> tokens, size_t row) {
    float sum = 0;
    for (size_t i = 0; i < tokens.size(); ++i) sum += static_cast<float>(tokens[i]) * static_cast<float>(i + 1);
    return sum + 1000 * static_cast<float>(tokens[row]);
  }
  Status forward(const device::Batch& batch, device::Readout& readout) {
    all_sent_.wait();
    most_sequences_ = std::max(most_sequences_, batch.sequences.size());
    EXPECT_TRUE(batch.logit_rows.empty());
    readout.hidden.clear();
    for (const device::BatchSequence& sequence : batch.sequences) {
      EXPECT_EQ(sequence.first_position, 0u) << "it comes whole";
      EXPECT_TRUE(sequence.pages.empty());
      for (uint32_t i = 0; i < sequence.rows; ++i)
        if (std::ranges::binary_search(readout.hidden_rows, sequence.first_row + i))
          readout.hidden.insert(readout.hidden.end(),
                                {row_value(batch.tokens.subspan(sequence.first_row, sequence.rows), i), 500});
    }
    return {};
  }
  static std::vector<float> expected(std::span<const Token> tokens, Pooling pooling) {
    const size_t first = pooling == Pooling::kLast ? tokens.size() - 1 : 0;
    const size_t end = pooling == Pooling::kFirst ? 1 : tokens.size();
    double a = 0, b = 0;
    for (size_t i = first; i < end; ++i) a += double{row_value(tokens, i)}, b += 500;
    const double length = std::sqrt(a * a + b * b);
    return {static_cast<float>(a / length), static_cast<float>(b / length)};
  }

  std::unique_ptr<Engine> engine_;
  std::latch all_sent_{1};
  size_t most_sequences_ = 0;
};

TEST_F(Encoder, EverySequenceIsComputedWholeBesideOthersWithoutPages) {
  start({.max_sequences = 8, .step_rows = 64});
  std::vector<Request> requests;
  for (const size_t length : {64, 1, 3, 40, 30, 30, 2, 63, 7, 20, 20, 20, 20})
    for (const Pooling pooling : {Pooling::kFirst, Pooling::kLast, Pooling::kMean}) {
      Request one;
      for (size_t i = 0; i < length; ++i) one.prompt.push_back(static_cast<Token>(1 + (i * 5 + length) % 26));
      one.pooling = pooling;
      requests.push_back(one);
    }
  std::vector<Receiver> receivers(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) ASSERT_TRUE(engine_->submit(requests[i], receivers[i].sink()).ok());
  all_sent_.count_down();
  for (size_t i = 0; i < requests.size(); ++i) {
    const Event last = receivers[i].wait();
    EXPECT_EQ(last.finish, FinishReason::kStop);
    EXPECT_EQ(last.embedding, expected(requests[i].prompt, *requests[i].pooling)) << i;
    EXPECT_TRUE(receivers[i].exactly_one_final());
  }
  EXPECT_GT(most_sequences_, 2u) << "they share steps";
}

TEST_F(Encoder, WhatDoesNotFitAStepOrWantsAnAnswerIsRefused) {
  start({.max_sequences = 2}, 32);
  Request one = prompt(std::string(33, 'a'));
  one.pooling = Pooling::kMean;
  const auto too_long = engine_->submit(one, Receiver().sink());
  ASSERT_FALSE(too_long.ok());
  EXPECT_EQ(too_long.error().kind, ErrorKind::kTooLong);
  const auto no_vector = engine_->submit(prompt("a"), Receiver().sink());
  ASSERT_FALSE(no_vector.ok());
  EXPECT_EQ(no_vector.error().kind, ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace hearth::engine::test
