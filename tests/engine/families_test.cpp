// Models that cache in other ways than Llama behind the engine: latent attention, chunks, states of recurrent layers.
// Requests that come together, are cut into chunks, share pages and are preempted get the same tokens as each alone.
#include <numeric>

#include "cpu/cpu_device.h"
#include "engine/alone.h"
#include "engine/engine.h"
#include "engine/fake_model.h"
#include "gguf/file.h"
#include "models/model.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

constexpr uint32_t kContext = 512, kFew_pages = 16, kMany_pages = 64;

class Families : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path = std::string("models/tiny2/") + GetParam() + ".gguf";
    REQUIRE_SHARED(path);
    auto file = gguf::File::open(hearth::test::shared(path).string());
    ASSERT_TRUE(file.ok()) << file.error().message;
    file_ = *file;
    device_ = std::move(*cpu::create_device({.threads = 1}));
    tokenizer_ = std::move(*text::Tokenizer::load(*file_));
  }

  std::unique_ptr<models::Model> load(uint32_t pages) {
    auto model = models::Model::load(file_, *device_, {.context = kContext, .pages = pages});
    EXPECT_TRUE(model.ok()) << model.error().message;
    return std::move(*model);
  }

  // Prompts begin alike for longer than any group of pages, and then differ.
  static std::vector<Request> requests() {
    std::vector<Request> all(6);
    for (size_t i = 0; i < all.size(); ++i) {
      for (size_t t = 0; t < 140; ++t) all[i].prompt.push_back(static_cast<text::Token>(3 + t * t * 7 % 400));
      for (size_t t = 0; t < 7 * i + 1; ++t) all[i].prompt.push_back(static_cast<text::Token>(5 + (t + i) * 31 % 300));
      all[i].options.temperature = i % 2 == 0 ? 0.0f : 0.8f;
      all[i].options.seed = static_cast<int64_t>(i);
      all[i].options.num_predict = 40;
    }
    return all;
  }

  std::vector<text::Token> alone(models::Model& model, const Request& request) const {
    std::vector<int32_t> pages(model.options().pages);
    std::iota(pages.begin(), pages.end(), 0);
    return answer_alone(model, *tokenizer_, request, pages);
  }

  std::shared_ptr<const gguf::File> file_;
  std::unique_ptr<device::Device> device_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
};

TEST_P(Families, SixAtOnceGetTheSameTokensAsAlone) {
  std::vector<std::vector<text::Token>> expected;
  {
    const auto model = load(kFew_pages);
    for (const Request& one : requests()) expected.push_back(alone(*model, one));
  }
  for (const uint32_t pages : {kMany_pages, kFew_pages}) {
    const auto model = load(pages);
    Engine engine(backend_of(*model), tokenizer_, {.max_sequences = 6, .queue = 6, .step_rows = 50});
    std::vector<Receiver> receivers(expected.size());
    const std::vector<Request> all = requests();
    for (size_t i = 0; i < all.size(); ++i) ASSERT_TRUE(engine.submit(all[i], receivers[i].sink()).ok());
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_EQ(receivers[i].wait().tokens, expected[i]) << "prompt " << i << " with " << pages << " pages";
    EXPECT_EQ(engine.stats().pages_free, pages);
    EXPECT_GT(engine.stats().tokens_cached, 0u) << "nothing was shared";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Families,
                         testing::Values("deepseek2-lite", "deepseek2-mla", "gemma3n", "gemma4", "gemma4-moe",
                                         "gpt-oss", "llama4", "lfm2", "lfm2moe", "mamba2",
                                         "nemotron_h", "nemotron_h_moe", "granitehybrid", "qwen3next", "qwen35",
                                         "qwen35moe"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hearth::engine::test
