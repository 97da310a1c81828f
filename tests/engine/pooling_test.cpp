// Prompts that become vectors.
#include <cmath>

#include "engine/engine.h"
#include "engine/fake_model.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

using Vector = std::vector<float>;

class PoolingTest : public testing::Test {
 protected:
  void start(EngineOptions options = {}, uint32_t pages = 64) {
    model_ = std::make_unique<FakeModel>(babble(), pages, 1000);
    engine_ = std::make_unique<Engine>(model_->backend(), std::make_shared<FakeTokenizer>(), options);
  }
  Event embed(const std::string& text, Pooling pooling) {
    Receiver receiver;
    EXPECT_TRUE(engine_->submit(request(text, pooling), receiver.sink()).ok());
    return receiver.wait();
  }
  static Request request(const std::string& text, Pooling pooling) {
    Request request = prompt(text);
    request.pooling = pooling;
    return request;
  }
  // What it is to be: of the rows from `first` on the sum, of length 1.
  static Vector expected(const std::string& text, size_t first) {
    const std::vector<Token> tokens = FakeTokenizer().encode(text, {});
    std::array<double, FakeModel::kWidth> sum{};
    for (size_t i = first; i < tokens.size(); ++i) {
      const auto row = FakeModel::hidden(tokens[i], static_cast<uint32_t>(i));
      for (size_t k = 0; k < sum.size(); ++k) sum[k] += double{row[k]};
    }
    const double length = std::sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]);
    Vector vector;
    for (const double value : sum) vector.push_back(static_cast<float>(value / length));
    return vector;
  }

  std::unique_ptr<FakeModel> model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(PoolingTest, TheLastRowOrTheMeanOfAllIsTheVectorAndNoLogitsAreComputed) {
  start({.step_rows = 40});
  const std::string text(130, 'q');
  for (int again = 0; again < 2; ++again) {
    const Event last = embed(text, Pooling::kLast);
    EXPECT_EQ(last.finish, FinishReason::kStop);
    EXPECT_EQ(last.embedding, expected(text, text.size() - 1));
    EXPECT_EQ(last.usage.prompt_tokens, 130u);
    EXPECT_EQ(last.usage.prompt_tokens_cached, again == 0 ? 0u : 128u);
    EXPECT_EQ(last.usage.generated_tokens, 0u);
    const Event mean = embed(text, Pooling::kMean);
    EXPECT_EQ(mean.embedding, expected(text, 0));
    EXPECT_EQ(mean.usage.prompt_tokens_cached, 0u) << "it needs every row";
  }
  EXPECT_EQ(model_->full_rows() + model_->candidate_rows(), 0u);
  EXPECT_EQ(embed("x", Pooling::kLast).embedding, embed("x", Pooling::kMean).embedding);
}

// Also where sequences are put back for lack of pages, and beside answers, which stay what they are.
TEST_F(PoolingTest, ManyAtOnceBesideAnswersAreAsIfEachWereAlone) {
  start();
  Receiver alone;
  Request answered = prompt("how are you");
  answered.options.num_predict = 60;
  answered.ignore_eos = true;
  ASSERT_TRUE(engine_->submit(answered, alone.sink()).ok());
  const std::string text = alone.wait().text;

  start({.max_sequences = 6, .step_rows = 48}, 14);
  std::vector<Receiver> answers(3), vectors(12);
  for (Receiver& receiver : answers) ASSERT_TRUE(engine_->submit(answered, receiver.sink()).ok());
  const auto text_of = [](size_t i) { return std::string(20 + 9 * i, static_cast<char>('a' + i)); };
  for (size_t i = 0; i < vectors.size(); ++i)
    ASSERT_TRUE(
        engine_->submit(request(text_of(i), i % 2 == 0 ? Pooling::kMean : Pooling::kLast), vectors[i].sink()).ok());
  for (size_t i = 0; i < vectors.size(); ++i)
    EXPECT_EQ(vectors[i].wait().embedding, expected(text_of(i), i % 2 == 0 ? 0 : text_of(i).size() - 1)) << i;
  for (Receiver& receiver : answers) EXPECT_EQ(receiver.wait().text, text);
  EXPECT_EQ(model_->unwritten_reads(), 0u);
}

TEST_F(PoolingTest, IsRefusedWhereTheModelHasNoSuchRows) {
  model_ = std::make_unique<FakeModel>(babble(), 8, 100);
  Backend backend = model_->backend();
  backend.width = 0;
  Engine engine(backend, std::make_shared<FakeTokenizer>(), {});
  Receiver receiver;
  const auto refused = engine.submit(request("abc", Pooling::kMean), receiver.sink());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
}

TEST_F(PoolingTest, NumbersThatAreNotFiniteAreAnError) {
  model_ = std::make_unique<FakeModel>(babble(), 8, 100);
  Backend backend = model_->backend();
  backend.forward = [forward = backend.forward](const device::Batch& batch, device::Readout& readout) {
    const Status status = forward(batch, readout);
    for (float& value : readout.hidden) value = NAN;
    return status;
  };
  Engine engine(backend, std::make_shared<FakeTokenizer>(), {});
  Receiver receiver;
  ASSERT_TRUE(engine.submit(request("abc", Pooling::kMean), receiver.sink()).ok());
  const Event event = receiver.wait();
  EXPECT_EQ(event.finish, FinishReason::kError);
  EXPECT_EQ(event.error->kind, ErrorKind::kInvalidData);
  EXPECT_TRUE(event.embedding.empty());
}

}  // namespace
}  // namespace hearth::engine::test
