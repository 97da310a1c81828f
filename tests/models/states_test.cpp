// States of recurrent layers in the cache, and caches that several layers read: they move between devices with their
// layers, and what a group of pages is full of is a snapshot from which other sequences go on.
#include "models/measure.h"
#include "models/runner.h"
#include "support/devices.h"
#include "support/fake_gpu.h"

namespace hearth::test {
namespace {

class States : public testing::TestWithParam<const char*> {
 protected:
  static constexpr uint32_t kPages = 48;

  void SetUp() override {
    const std::string path = std::string("models/tiny2/") + GetParam() + ".gguf";
    REQUIRE_SHARED(path);
    file_ = *gguf::File::open(shared(path).string());
    for (size_t i = 0; i < tokens_.size(); ++i) tokens_[i] = static_cast<int32_t>(3 + i * i * 7 % 400);
  }

  std::unique_ptr<models::Model> load(std::vector<device::Device*> devices) {
    const models::LoadOptions options{.context = 512, .batch_rows = 64, .logit_rows = 64, .pages = kPages};
    const uint32_t layers = (*models::plan_load(*file_, options)).spec.layers;
    auto model = models::Model::load(file_, std::move(devices), placement::all_on(0, layers), options);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return std::move(*model);
  }

  // `between` runs before every step.
  std::vector<float> run(models::Model& model, const std::function<void()>& between) const {
    std::vector<Sequence> sequence = scattered_sequences(tokens_, 1, kPages, 5, model.page_group());
    std::vector<float> all;
    while (sequence[0].done < tokens_.size()) {
      between();
      const uint32_t rows = std::min<uint32_t>(static_cast<uint32_t>(tokens_.size()) - sequence[0].done, 37);
      const std::vector<float> logits = step(model, sequence, {&rows, 1});
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

  std::vector<int32_t> tokens_ = std::vector<int32_t>(300);
  std::shared_ptr<const gguf::File> file_;
};

TEST_P(States, MoveWithTheirLayers) {
  const auto host = std::move(*cpu::create_device({.threads = 1}));
  const std::vector<float> expected = run(*load({host.get()}), [] {});
  FakeGpu gpu(std::make_shared<FakeCard>());
  const auto model = load({&gpu, host.get()});
  uint32_t on = 0;
  EXPECT_EQ(run(*model, [&] { ASSERT_TRUE(model->rearrange(placement::all_on(on++ % 2, model->spec().layers)).ok()); }),
            expected);
}

// The border is where no unit is cut; the residual crosses it with all that belongs to it.
TEST_P(States, LieOnTwoDevices) {
  const auto host = std::move(*cpu::create_device({.threads = 1}));
  const std::vector<float> expected = run(*load({host.get()}), [] {});
  FakeGpu gpu(std::make_shared<FakeCard>());
  const auto model = load({&gpu, host.get()});
  const std::vector<placement::LayerSizes>& sizes = model->sizes()[0].layers;
  placement::Arrangement split = model->arrangement();
  const size_t border = placement::first_of_unit(sizes, sizes.size() / 2);
  ASSERT_GT(border, 0u);
  for (size_t i = 0; i < border; ++i) split.layers[i] = {1, 1};
  split.embedding = 1;
  EXPECT_EQ(run(*model, [&] { ASSERT_TRUE(model->rearrange(split).ok()); }), expected);
}

TEST_P(States, OfFullGroupsAreSnapshots) {
  const auto host = std::move(*cpu::create_device({.threads = 1}));
  const auto model = load({host.get()});
  const uint32_t shared_pages = model->page_group(), shared_tokens = shared_pages * device::kPage_tokens;
  std::vector<Sequence> sequences = scattered_sequences(tokens_, 2, kPages, 5, model->page_group());
  std::vector<float> first;
  while (sequences[0].done < tokens_.size()) {
    const std::vector<uint32_t> rows{std::min<uint32_t>(static_cast<uint32_t>(tokens_.size()) - sequences[0].done, 50),
                                     0};
    const std::vector<float> logits = step(*model, sequences, rows);
    first.insert(first.end(), logits.begin(), logits.end());
  }
  // The second goes on from where the first once was.
  std::copy_n(sequences[0].pages.begin(), shared_pages, sequences[1].pages.begin());
  sequences[1].done = shared_tokens;
  const std::vector<uint32_t> rows{0, 40};
  const std::vector<float> second = step(*model, sequences, rows);
  const size_t width = model->spec().vocabulary;
  const auto from = first.begin() + static_cast<ptrdiff_t>(shared_tokens * width);
  EXPECT_EQ(second, std::vector<float>(from, from + static_cast<ptrdiff_t>(40 * width)));
}

// Of 8 layers the last two read the caches of two before them: counted once, and all four in one place.
TEST(SharedCaches, CountOnce) {
  REQUIRE_SHARED("models/tiny2/gemma4.gguf");
  const auto file = *gguf::File::open(shared("models/tiny2/gemma4.gguf").string());
  const auto host = std::move(*cpu::create_device({.threads = 1}));
  const auto load_plan = models::plan_load(*file, {.context = 512});
  ASSERT_TRUE(load_plan.ok()) << load_plan.error().message;
  const auto sizes = models::measure(*file, *load_plan, *host);
  ASSERT_TRUE(sizes.ok()) << sizes.error().message;
  ASSERT_EQ(sizes->layers.size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(sizes->layers[i].cache == 0, i >= 6) << i;
    EXPECT_EQ(sizes->layers[i].bound, i >= 5) << i;  // 6 reads 4's, 7 reads 4's or 5's
  }
}

INSTANTIATE_TEST_SUITE_P(Models, States,
                         testing::Values("lfm2", "mamba2", "nemotron_h_moe", "granitehybrid", "qwen3next", "qwen35",
                                         "gemma3n", "gemma4"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace hearth::test
