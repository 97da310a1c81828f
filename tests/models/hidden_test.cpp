// Rows before the output matrix, beside logits and without.
#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

class Hidden : public testing::TestWithParam<TestDevice> {};

TEST_P(Hidden, IsWhatTheOutputMatrixMakesLogitsOf) {
  SmallModel small("llama");
  const std::shared_ptr<device::Device> device = GetParam().make();
  auto model = models::Model::load(
      small.open(), *device, {.context = 128, .batch_rows = 40, .logit_rows = 40, .copy_weights = GetParam().copies});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const std::vector<int32_t> tokens{3, 20, 37, 4, 21, 38, 5}, pages{2};
  device::Batch batch;
  batch.tokens = tokens;
  batch.sequences.push_back({0, 7, 0, pages});
  batch.logit_rows = {1, 2, 6};
  device::Readout readout;
  readout.full_rows = {0, 1, 2};
  std::vector<float> logits(3 * SmallModel::kVocabulary);
  readout.logits = logits;
  readout.hidden_rows = {1, 2, 4, 6};
  ASSERT_TRUE((*model)->forward(batch, readout).ok());
  ASSERT_EQ(readout.hidden.size(), 4 * SmallModel::kWidth);

  const std::vector<float>& output = small.tensor("output.weight").values;
  for (const auto& [logit_row, hidden_row] : {std::pair(size_t{0}, size_t{0}), {1, 1}, {2, 3}}) {
    for (uint32_t token = 0; token < SmallModel::kVocabulary; ++token) {
      double sum = 0;
      for (uint32_t i = 0; i < SmallModel::kWidth; ++i)
        sum += double{output[token * SmallModel::kWidth + i]} * readout.hidden[hidden_row * SmallModel::kWidth + i];
      EXPECT_NEAR(sum, logits[logit_row * SmallModel::kVocabulary + token], 1e-3);
    }
  }

  device::Readout alone;
  alone.hidden_rows = {4};
  batch.logit_rows.clear();
  ASSERT_TRUE((*model)->forward(batch, alone).ok());
  const auto fifth = std::span(readout.hidden).subspan(2 * SmallModel::kWidth, SmallModel::kWidth);
  EXPECT_TRUE(std::ranges::equal(alone.hidden, fifth)) << "whatever else is asked for";
}

// Rows that are given are read as the embeddings of tokens would be.
TEST_P(Hidden, RowsInPlaceOfTokens) {
  SmallModel small("llama");
  const std::shared_ptr<device::Device> device = GetParam().make();
  auto model = models::Model::load(
      small.open(), *device, {.context = 128, .batch_rows = 40, .logit_rows = 40, .copy_weights = GetParam().copies});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto logits_of = [&](const std::vector<int32_t>& tokens, std::vector<device::EmbeddedRows> embedded) {
    const std::vector<int32_t> pages{2};
    device::Batch batch;
    batch.tokens = tokens;
    batch.embedded = std::move(embedded);
    batch.sequences.push_back({0, static_cast<uint32_t>(tokens.size()), 0, pages});
    batch.logit_rows = {1, 4, 6};
    std::vector<float> logits(3 * SmallModel::kVocabulary);
    EXPECT_TRUE((*model)->forward(batch, logits).ok());
    return logits;
  };
  const std::vector<int32_t> tokens{3, 20, 37, 4, 21, 38, 5};
  const std::vector<float>& table = small.tensor("token_embd.weight").values;
  std::vector<float> rows;
  for (const int32_t token : {20, 37, 38}) {
    const auto row = std::span(table).subspan(static_cast<size_t>(token) * SmallModel::kWidth, SmallModel::kWidth);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  const std::vector<float> expected = logits_of(tokens, {});
  EXPECT_EQ(logits_of({3, 0, 0, 4, 21, 0, 5}, {{1, 2, rows.data()}, {5, 1, rows.data() + 2 * SmallModel::kWidth}}),
            expected);
  EXPECT_NE(logits_of({3, 0, 0, 4, 21, 0, 5}, {}), expected);
}

INSTANTIATE_TEST_SUITE_P(Devices, Hidden, testing::ValuesIn(all_devices()),
                         [](const auto& device) { return device.param.name; });

}  // namespace
}  // namespace hearth::test
