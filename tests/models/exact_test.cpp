// What must be equal to the bit on a device: a row's logits in chunks of any size, and the best of them as whole rows
// have them.
#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

constexpr uint32_t kTokens = 100, kVocabulary = SmallModel::kVocabulary;

std::vector<int32_t> some_tokens() {
  std::vector<int32_t> tokens(kTokens);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * i * 7 % kVocabulary);
  return tokens;
}

class Exact : public testing::TestWithParam<TestDevice> {
 protected:
  void SetUp() override {
    device_ = GetParam().make();
    auto model = models::Model::load(SmallModel("llama").open(), *device_,
                                     {.context = 128, .batch_rows = 128, .logit_rows = 128, .pages = 8});
    ASSERT_TRUE(model.ok()) << model.error().message;
    model_ = std::move(*model);
  }

  std::shared_ptr<device::Device> device_;
  std::unique_ptr<models::Model> model_;
};

TEST_P(Exact, LogitsInChunksOfAnySize) {
  const std::vector<int32_t> tokens = some_tokens();
  const std::vector<float> whole = run_in_chunks(*model_, tokens, {kTokens});
  EXPECT_EQ(run_in_chunks(*model_, tokens, {1}), whole);
  EXPECT_EQ(run_in_chunks(*model_, tokens, {7, 1, 30, 1, 1, 5}), whole);
}

TEST_P(Exact, CandidatesAndWholeRowsOfOneStep) {
  const uint32_t count = 9;
  if (model_->most_candidates() < count) GTEST_SKIP() << "logits are read whole";
  const std::vector<int32_t> tokens = some_tokens(), pages = {3, 1, 0, 2};
  device::Batch batch;
  batch.tokens = tokens;
  batch.sequences = {{0, kTokens, 0, pages}};
  batch.logit_rows = {2, 50, 51, 99};
  std::vector<float> logits(4 * kVocabulary), some(3 * kVocabulary);
  ASSERT_TRUE(model_->forward(batch, logits).ok());
  device::Readout readout;
  readout.candidates = count;
  readout.full_rows = {0, 1, 3};
  readout.logits = some;
  ASSERT_TRUE(model_->forward(batch, readout).ok());
  const auto rows_of = [&](size_t first, size_t end) {
    return std::vector<float>(logits.begin() + first * kVocabulary, logits.begin() + end * kVocabulary);
  };
  EXPECT_EQ(std::vector<float>(some.begin(), some.begin() + 2 * kVocabulary), rows_of(0, 2));
  EXPECT_EQ(std::vector<float>(some.begin() + 2 * kVocabulary, some.end()), rows_of(3, 4));
  ASSERT_EQ(readout.best.size(), 4u * (count + 1));
  for (size_t row = 0; row < 4; ++row) {
    std::vector<float> sorted = rows_of(row, row + 1);
    double total = 0;
    std::ranges::sort(sorted, std::greater());
    for (const float x : sorted) total += std::exp(x - sorted[0]);
    const device::Candidate* best = &readout.best[row * (count + 1)];
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(best[i].value, sorted[i]);
      EXPECT_EQ(best[i].value, logits[row * kVocabulary + best[i].column]);
    }
    EXPECT_NEAR(best[count].value, total, 1e-5 * total);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Exact, testing::ValuesIn(all_devices()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace hearth::test
