// A model over several devices: the same logits wherever its parts lie, also when they move under way.
#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"
#include "support/fake_gpu.h"

namespace hearth::test {
namespace {

using models::LoadOptions;
using models::Model;
using placement::Arrangement;

constexpr uint32_t kHost = 1, kGpu = 0;

SmallModel experts_model(bool separate) {
  SmallModel model("llama");
  model.use_experts(4, 2);
  if (separate) model.separate_experts();
  return model;
}

SmallModel tied_model() {
  SmallModel model("llama");
  model.remove("output.weight");
  return model;
}

std::vector<int32_t> some_tokens(size_t count) {
  std::vector<int32_t> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<int32_t>((i * 17 + 3) % SmallModel::kVocabulary);
  return tokens;
}

// Every arrangement of two layers' parts on two devices.
std::vector<Arrangement> all_arrangements(bool experts) {
  std::vector<Arrangement> all;
  for (uint32_t bits = 0; bits < (experts ? 64u : 16u); ++bits) {
    const auto bit = [&](uint32_t n) { return bits >> n & 1; };
    const placement::LayerDevices first{bit(0), bit(experts ? 4 : 0)}, second{bit(1), bit(experts ? 5 : 1)};
    all.push_back({{first, second}, bit(2), bit(3)});
  }
  return all;
}

class SeveralDevices : public testing::TestWithParam<std::tuple<std::string, device::CacheType>> {
 protected:
  SeveralDevices() : model_file_(make().open()) {
    options_ = {.context = 128, .batch_rows = 40, .logit_rows = 40, .cache = std::get<1>(GetParam())};
    if (options_.cache == device::CacheType::kQ8_0) options_.cache = device::CacheType::kF16;  // heads of 16
  }
  static bool has_experts() { return std::get<0>(GetParam()).ends_with("experts"); }
  static SmallModel make() {
    const std::string& kind = std::get<0>(GetParam());
    if (has_experts()) return experts_model(kind == "separate_experts");
    return kind == "tied" ? tied_model() : SmallModel("llama");
  }

  std::unique_ptr<device::Device> cpu(const std::string& isa = "") {
    auto device = cpu::create_device({.threads = 1, .isa = isa});
    EXPECT_TRUE(device.ok());
    return std::move(*device);
  }
  std::unique_ptr<Model> load(std::vector<device::Device*> devices, const Arrangement& arrangement) {
    auto model = Model::load(model_file_, std::move(devices), arrangement, options_);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return std::move(*model);
  }

  // Prefill in chunks, then token by token; `between` runs before every step.
  static std::vector<float> run(
      Model& model, const std::function<void(size_t)>& between = [](size_t) {}) {
    const std::vector<int32_t> tokens = some_tokens(90);
    std::vector<Sequence> sequence = scattered_sequences(tokens, 1, model.options().pages, 5);
    std::vector<float> all;
    for (size_t i = 0; sequence[0].done < tokens.size(); ++i) {
      between(i);
      const uint32_t left = static_cast<uint32_t>(tokens.size()) - sequence[0].done;
      const uint32_t rows = std::min(left, i < 2 ? 37u : 1u);
      const std::vector<float> logits = step(model, sequence, {&rows, 1});
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

  std::shared_ptr<const gguf::File> model_file_;
  LoadOptions options_;
  std::shared_ptr<FakeCard> card_ = std::make_shared<FakeCard>();
};

TEST_P(SeveralDevices, GiveTheSameBitsInEveryArrangement) {
  const auto host = cpu();
  const std::vector<float> expected = run(*load({host.get()}, placement::all_on(0, SmallModel::kLayers)));
  FakeGpu gpu(card_);
  for (const Arrangement& arrangement : all_arrangements(has_experts()))
    ASSERT_EQ(run(*load({&gpu, host.get()}, arrangement)), expected);
}

TEST_P(SeveralDevices, GiveARowOfTheLastStepOnceMore) {
  const auto host = cpu();
  FakeGpu gpu(card_);
  for (const Arrangement& arrangement : all_arrangements(has_experts())) {
    const auto model = load({&gpu, host.get()}, arrangement);
    std::vector<Sequence> sequence = scattered_sequences(some_tokens(20), 1, model->options().pages, 5);
    const uint32_t rows = 20;
    const std::vector<float> all = step(*model, sequence, {&rows, 1});
    const size_t width = model->spec().vocabulary;
    for (const uint32_t row : {0u, 7u, 19u}) {
      std::vector<float> again(width);
      ASSERT_TRUE(model->read_logits(row, again).ok());
      ASSERT_TRUE(std::ranges::equal(again, std::span(all).subspan(row * width, width)));
    }
  }
}

TEST_P(SeveralDevices, OfDifferentKindsAgreeWithinTheirRounding) {
  const auto host = cpu();
  const std::vector<float> expected = run(*load({host.get()}, placement::all_on(0, SmallModel::kLayers)));
  FakeGpu generic(card_, "generic");
  FakeGpu reference(card_, std::make_unique<ReferenceDevice>());
  const Arrangement mixed{{{0, 0}, {1, 1}}, 2, 0};
  const std::vector<float> actual = run(*load({&generic, &reference, host.get()}, mixed));
  EXPECT_LE(relative_error(actual, expected), 2e-2);
}

TEST_P(SeveralDevices, PromiseExactlyWhatTheyTake) {
  const auto host = cpu();
  const std::vector<placement::DeviceState> states = {{.name = "gpu", .granularity = card_->granularity_bytes},
                                                      {.name = "cpu", .host = true}};
  for (const Arrangement& arrangement : all_arrangements(has_experts())) {
    FakeGpu gpu(card_);
    const auto model = load({&gpu, host.get()}, arrangement);
    const auto shares = placement::shares_of(model->arrangement(), model->sizes(), states);
    ASSERT_EQ(gpu.allocated_bytes(), shares[kGpu].total());
    ASSERT_EQ(card_->taken_bytes, gpu.allocated_bytes());
    ASSERT_TRUE(model->rearrange(placement::all_on(kHost, SmallModel::kLayers)).ok());
    ASSERT_EQ(gpu.allocated_bytes(), 0u) << "all was given back";
    ASSERT_TRUE(model->rearrange(arrangement).ok());
    ASSERT_EQ(gpu.allocated_bytes(), shares[kGpu].total());
  }
}

TEST_P(SeveralDevices, KeepAnsweringTheSameWhileLayersMove) {
  const auto host = cpu();
  const std::vector<float> expected = run(*load({host.get()}, placement::all_on(0, SmallModel::kLayers)));
  FakeGpu gpu(card_);
  const auto model = load({&gpu, host.get()}, placement::all_on(kHost, SmallModel::kLayers));
  std::mt19937_64 random(seed());
  const std::vector<Arrangement> all = all_arrangements(has_experts());
  EXPECT_EQ(run(*model,
                [&](size_t) {
                  const Status moved = model->rearrange(all[random() % all.size()]);
                  EXPECT_TRUE(moved.ok()) << moved.error().message;
                }),
            expected);
}

// The reference device has another page layout than the CPU, and the same values in it.
TEST_P(SeveralDevices, MoveACacheBetweenLayouts) {
  const auto host = cpu();
  FakeGpu gpu(card_, std::make_unique<ReferenceDevice>());
  const auto model = load({&gpu, host.get()}, placement::all_on(kGpu, SmallModel::kLayers));
  const std::vector<float> expected = run(*model);
  const std::vector<float> moved = run(*model, [&](size_t i) {
    const uint32_t to = i < 10 ? kGpu : kHost;
    EXPECT_TRUE(model->rearrange(placement::all_on(to, SmallModel::kLayers)).ok());
  });
  EXPECT_LE(relative_error(moved, expected), 2e-2);
}

TEST_P(SeveralDevices, StayWhereTheyAreWhenThereIsNoRoom) {
  const auto host = cpu();
  const std::vector<float> expected = run(*load({host.get()}, placement::all_on(0, SmallModel::kLayers)));
  FakeGpu gpu(card_);
  const auto model = load({&gpu, host.get()}, placement::all_on(kHost, SmallModel::kLayers));
  card_->others_bytes = card_->total_bytes - 130000;  // room for a part, not for all
  const Status status = model->rearrange(placement::all_on(kGpu, SmallModel::kLayers));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kNoMemory);
  EXPECT_EQ(run(*model), expected);
  EXPECT_TRUE(model->rearrange(placement::all_on(kHost, SmallModel::kLayers)).ok());
  EXPECT_EQ(gpu.allocated_bytes(), 0u);
}

TEST_P(SeveralDevices, ReportALossWithoutLeaks) {
  const auto host = cpu();
  for (int op = 0; op < 40; op += 3) {
    {
      FakeGpu gpu(card_);
      const auto model = load({&gpu, host.get()}, {{{kHost, kHost}, {kGpu, kGpu}}, kHost, kGpu});
      card_->ops_until_lost = op;
      const std::vector<int32_t> tokens = some_tokens(4), pages = {0};
      device::Batch batch{.tokens = tokens, .sequences = {{0, 4, 0, pages}}, .logit_rows = {3}};
      std::vector<float> logits(SmallModel::kVocabulary);
      Status status;
      for (int i = 0; i < 10 && status.ok(); ++i) status = model->forward(batch, logits);
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().kind, ErrorKind::kDeviceLost);
      EXPECT_EQ(model->forward(batch, logits).error().kind, ErrorKind::kDeviceLost) << "lost is lost";
      card_->ops_until_lost = -1;
    }
    EXPECT_EQ(card_->taken_bytes, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, SeveralDevices,
                         testing::Combine(testing::Values("dense", "tied", "experts", "separate_experts"),
                                          testing::Values(device::CacheType::kF32, device::CacheType::kF16)),
                         [](const auto& test) {
                           return std::get<0>(test.param) +
                                  (std::get<1>(test.param) == device::CacheType::kF32 ? "_f32" : "_f16");
                         });

}  // namespace
}  // namespace hearth::test
