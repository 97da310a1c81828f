// Every architecture against logits that an independent program computed, in one batch, in chunks, and
// as several sequences in ragged batches over scattered pages.
#include <boost/json.hpp>

#include "base/file.h"
#include "models/measure.h"
#include "models/runner.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

struct Golden {
  std::vector<int32_t> tokens;
  std::string model;
  std::vector<float> logits;  // tokens * vocabulary
  double tolerance = 0;
  double routing_margin = 1;  // between experts that were chosen and others, at least
};

constexpr const char *kIndex = "golden/logits/index.json", *kIndex_2 = "golden/logits2/index.json";
const char* const kModels[] = {
    "llama", "llama31", "deepseek-coder", "mixtral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt2",
    // of the second index
    "cohere2", "ernie4_5", "exaone4", "falcon", "glm4", "granite", "hunyuan-dense", "mistral3", "olmo2", "olmo3", "opt",
    "opt-350m", "phi2", "qwen2vl", "qwen3moe", "qwen3vl", "smollm3", "stablelm", "starcoder2", "ernie4_5-moe",
    "deepseek2-lite", "deepseek2-mla", "glm4moe", "gpt-oss", "gpt-oss-mxfp4", "granitehybrid", "granitemoe", "gemma3n",
    "gemma4", "gemma4-moe", "lfm2", "lfm2moe", "llama4", "mamba2", "nemotron_h", "nemotron_h_moe", "qwen35",
    "qwen35moe", "qwen3next", "minimax-m2", "qwen2moe"};

boost::json::object read_index(const char* path) {
  auto text = read_file(shared(path).string());
  EXPECT_TRUE(text.ok());
  return boost::json::parse(*text).as_object();
}

Golden read_golden(const std::string& name) {
  boost::json::object index = read_index(kIndex);
  if (!index.at("cases").as_object().contains(name)) index = read_index(kIndex_2);
  const auto& entry = index.at("cases").at(name).as_object();
  Golden golden;
  golden.tokens = boost::json::value_to<std::vector<int32_t>>(index.at("tokens"));
  golden.model = shared(std::string(entry.at("model").as_string())).string();
  golden.logits = read_npy(shared(std::string(entry.at("logits").as_string()))).values;
  golden.tolerance = entry.at("relative_error_at_most").as_double();
  if (const auto* margin = entry.if_contains("smallest_routing_margin")) golden.routing_margin = margin->as_double();
  return golden;
}

// Position by position the error may be somewhat larger than that of the whole.
void expect_close(std::span<const float> logits, std::span<const float> expected, double tolerance, size_t width) {
  ASSERT_EQ(logits.size(), expected.size());
  EXPECT_LE(relative_error(logits, expected), tolerance);
  for (size_t at = 0; at < logits.size(); at += width)
    EXPECT_LE(relative_error(logits.subspan(at, width), expected.subspan(at, width)), 3 * tolerance)
        << "position " << at / width;
}

// How many rows are close.
size_t close_rows(std::span<const float> logits, std::span<const float> expected, double tolerance, size_t width) {
  size_t close = 0;
  for (size_t at = 0; at < logits.size(); at += width)
    close += relative_error(logits.subspan(at, width), expected.subspan(at, width)) <= 3 * tolerance;
  return close;
}

// Where the choice of experts hangs on less than this, rounding to halves may choose others, and the rows from there on
// are another text's.
constexpr double kHalves_choose = 2e-4;

// Of all logits together; a wrong position or head gives a thousand times as much.
constexpr double kRounding_to_halves = 3e-3;

class GoldenLogits : public testing::TestWithParam<std::tuple<TestDevice, const char*>> {
 protected:
  void SetUp() override {
    REQUIRE_SHARED(kIndex);
    golden_ = read_golden(std::get<1>(GetParam()));
    device_ = std::get<0>(GetParam()).make();
    load(device::CacheType::kF32);
  }

  void load(device::CacheType cache) {
    model_ = nullptr;
    auto file = gguf::File::open(golden_.model);
    ASSERT_TRUE(file.ok()) << file.error().message;
    auto model = models::Model::load(
        *file, *device_, {.context = 128, .batch_rows = 192, .logit_rows = 192, .pages = 16, .cache = cache});
    ASSERT_TRUE(model.ok()) << model.error().message;
    model_ = std::move(*model);
  }

  Golden golden_;
  std::shared_ptr<device::Device> device_;
  std::unique_ptr<models::Model> model_;
};

TEST_P(GoldenLogits, InOneBatch) {
  const auto logits = run_in_chunks(*model_, golden_.tokens, {64});
  expect_close(logits, golden_.logits, golden_.tolerance, model_->spec().vocabulary);
}

TEST_P(GoldenLogits, InChunks) {
  const auto logits = run_in_chunks(*model_, golden_.tokens, {7, 1, 30, 5});
  expect_close(logits, golden_.logits, golden_.tolerance, model_->spec().vocabulary);
}

// The cache that models have unless another is asked for, and on a GPU other kernels: keys, values, queries and weights
// are halves, each rounded by up to 2^-11 of itself.
TEST_P(GoldenLogits, WithACacheOfHalves) {
  load(device::CacheType::kF16);
  const auto logits = run_in_chunks(*model_, golden_.tokens, {7, 1, 30, 5});
  const double tolerance = golden_.tolerance + kRounding_to_halves;
  const size_t width = model_->spec().vocabulary;
  if (golden_.routing_margin >= kHalves_choose) return expect_close(logits, golden_.logits, tolerance, width);
  EXPECT_GE(close_rows(logits, golden_.logits, tolerance, width), golden_.tokens.size() / 4);
}

// Three sequences at different places: prompt pieces and single tokens share batches.
TEST_P(GoldenLogits, AsRaggedBatches) {
  const size_t width = model_->spec().vocabulary, count = 3;
  auto sequences = scattered_sequences(golden_.tokens, count, model_->options().pages, seed());
  const std::vector<std::vector<uint32_t>> plan = {{40, 1, 0}, {1, 20, 0}, {1, 1, 64}, {22, 42, 0}};
  for (const std::vector<uint32_t>& rows : plan) {
    std::vector<uint32_t> first;
    for (const Sequence& sequence : sequences) first.push_back(sequence.done);
    const std::vector<float> logits = step(*model_, sequences, rows);
    std::span<const float> rest = logits;
    for (size_t i = 0; i < count; ++i) {
      const size_t values = rows[i] * width;
      const auto expected = std::span<const float>(golden_.logits).subspan(first[i] * width, values);
      if (rows[i] > 0) expect_close(rest.first(values), expected, golden_.tolerance * 1.5, width);
      rest = rest.subspan(values);
    }
  }
  for (const Sequence& sequence : sequences) EXPECT_EQ(sequence.done, golden_.tokens.size());
}

// Only the rows that were asked for, in their order.
TEST_P(GoldenLogits, OfSomeRows) {
  auto sequences = scattered_sequences(golden_.tokens, 1, model_->options().pages, 2);
  const size_t width = model_->spec().vocabulary;
  device::Batch batch;
  batch.tokens = golden_.tokens;
  batch.sequences = {{0, 64, 0, sequences[0].pages}};
  batch.logit_rows = {3, 31, 63};
  std::vector<float> logits(3 * width), expected;
  for (const uint32_t row : batch.logit_rows)
    expected.insert(expected.end(), golden_.logits.begin() + static_cast<ptrdiff_t>(row * width),
                    golden_.logits.begin() + static_cast<ptrdiff_t>((row + 1) * width));
  ASSERT_TRUE(model_->forward(batch, logits).ok());
  expect_close(logits, expected, golden_.tolerance * 1.5, width);
}

INSTANTIATE_TEST_SUITE_P(Devices, GoldenLogits,
                         testing::Combine(testing::ValuesIn(all_devices()), testing::ValuesIn(kModels)),
                         [](const auto& test) {
                           std::string name = std::get<0>(test.param).name + "_" + std::get<1>(test.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// What does not run is refused by name.
TEST(GoldenIndex, HasNoModelThatIsNeitherTestedNorRefused) {
  REQUIRE_SHARED(kIndex);
  for (const char* path : {kIndex, kIndex_2}) {
    const boost::json::object index = read_index(path);
    for (const auto& entry : index.at("cases").as_object()) {
      if (std::find(std::begin(kModels), std::end(kModels), std::string_view(entry.key())) != std::end(kModels))
        continue;
      const auto file = gguf::File::open(shared(std::string(entry.value().at("model").as_string())).string());
      ASSERT_TRUE(file.ok()) << file.error().message;
      const auto refused = models::plan_load(**file, {});
      ASSERT_FALSE(refused.ok()) << entry.key();
      EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported) << refused.error().message;
    }
  }
}

}  // namespace
}  // namespace hearth::test
