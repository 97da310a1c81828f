// The laptop that hearth was made for, at full size: a 6 GB card of which others have taken 2.5 GB, and a 7B model.
// The file is sparse: the plan needs shapes, not weights.
#include <filesystem>
#include <fstream>

#include "cuda/sizing.h"
#include "gguf/draft.h"
#include "gguf/quantization_recipe.h"
#include "models/measure.h"
#include "placement/offers.h"
#include "placement/table.h"
#include "support/support.h"

namespace hearth::placement::test {
namespace {

using gguf::test::value_of;

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
constexpr uint64_t kWidth = 4096, kKv_width = 1024, kInner = 14336, kVocabulary = 32000, kLayers = 32;

// Mistral-7B's metadata and tensors in F16 (type 1) and F32 (type 0).
class Mistral {
 public:
  Mistral() {
    draft_.tensors.clear();
    draft_.metadata = {{"general.architecture", gguf::test::string_value("llama")}};
    const std::pair<const char*, uint32_t> keys[] = {{"context_length", 32768},    {"block_count", kLayers},
                                                     {"embedding_length", kWidth}, {"feed_forward_length", kInner},
                                                     {"attention.head_count", 32}, {"attention.head_count_kv", 8}};
    for (const auto& [key, number] : keys)
      draft_.metadata.emplace_back(std::string("llama.") + key, value_of<uint32_t>(4, number));
    draft_.metadata.emplace_back("llama.attention.layer_norm_rms_epsilon", value_of<float>(6, 1e-5f));
    add("token_embd.weight", {kWidth, kVocabulary});
    add("output.weight", {kWidth, kVocabulary});
    add("output_norm.weight", {kWidth});
    for (uint64_t i = 0; i < kLayers; ++i) {
      const std::string block = "blk." + std::to_string(i) + ".";
      for (const char* norm : {"attn_norm.weight", "ffn_norm.weight"}) add(block + norm, {kWidth});
      for (const char* square : {"attn_q.weight", "attn_output.weight"}) add(block + square, {kWidth, kWidth});
      for (const char* small : {"attn_k.weight", "attn_v.weight"}) add(block + small, {kWidth, kKv_width});
      for (const char* up : {"ffn_gate.weight", "ffn_up.weight"}) add(block + up, {kWidth, kInner});
      add(block + "ffn_down.weight", {kInner, kWidth});
    }
  }

  std::shared_ptr<const gguf::File> open() {
    draft_.data = "x";
    const std::string header = draft_.bytes();
    const std::string path = folder_ / "mistral-7b.gguf";
    std::ofstream(path, std::ios::binary) << header;
    std::filesystem::resize_file(path, header.size() - 1 + end_);
    auto file = gguf::File::open(path);
    EXPECT_TRUE(file.ok()) << (file.ok() ? "" : file.error().message);
    return *file;
  }

 private:
  void add(const std::string& name, std::vector<uint64_t> shape) {
    uint64_t bytes = shape.size() == 1 ? 4 : 2;
    for (const uint64_t n : shape) bytes *= n;
    draft_.tensors.push_back({name, shape, shape.size() == 1 ? 0u : 1u, end_, bytes});
    end_ += bytes;
  }

  gguf::test::Draft draft_;
  uint64_t end_ = 0;
  hearth::test::TemporaryFolder folder_;
};

class Laptop : public testing::Test {
 protected:
  std::vector<ModelSizes> sizes(const ServingOptions& serving) const {
    auto recipe = gguf::find_recipe(serving.recipe.empty() ? "Q4_K_M" : serving.recipe);
    models::LoadOptions load;
    load.context = serving.context;
    load.cache = serving.kv_type == "q8_0" ? device::CacheType::kQ8_0 : device::CacheType::kF16;
    auto load_plan = models::plan_load(*file_, load, &*recipe);
    EXPECT_TRUE(load_plan.ok()) << (load_plan.ok() ? "" : load_plan.error().message);
    auto measured = models::measure(*file_, *load_plan, cuda_, &*recipe);
    EXPECT_TRUE(measured.ok());
    return {*measured, *measured};
  }
  static std::vector<DeviceState> machine(uint64_t taken) {
    return {{.name = "GPU 0 (NVIDIA GeForce RTX 3050 6GB Laptop GPU)",
             .total = 6144 * kMiB,
             .free = (6144 - 173) * kMiB - taken,
             .reserve = 192 * kMiB,
             .overhead = 98 * kMiB,
             .granularity = cuda::kGranule_bytes,
             .bandwidth = 168'000'000'000,
             .others = {{1, "chrome", 856 * kMiB}, {2, "game", taken > 0 ? taken - 856 * kMiB : 0}}},
            {.name = "CPU", .host = true, .total = 16 * kGiB, .free = 12 * kGiB}};
  }

  Mistral mistral_;
  const std::shared_ptr<const gguf::File> file_ = mistral_.open();
  const cuda::CudaSizing cuda_;
};

TEST_F(Laptop, HoldsTheWholeModelWhenItIsAlone) {
  const std::vector<DeviceState> devices = machine(0);
  const Plan alone = plan(sizes({}), devices);
  EXPECT_TRUE(alone.whole());
  EXPECT_EQ(summary(alone, devices)[0].substr(0, 12), "33/33 layers");
  // 32 layers x 4096 tokens x 8 heads x 128 x keys and values x 2 bytes.
  EXPECT_EQ(alone.shares[0].cache, 512 * kMiB);
  // Q4_K_M of these shapes is 4.07 GiB; the embedding may stay on the host.
  EXPECT_NEAR(static_cast<double>(alone.shares[0].weights) / kGiB, 4.05, 0.1);
}

TEST_F(Laptop, SaysWhatStaysOnTheCpuAndWhatWouldHelp) {
  const std::vector<DeviceState> devices = machine(2560 * kMiB);
  const Plan shared = plan(sizes({}), devices);
  EXPECT_FALSE(shared.whole());
  EXPECT_GE(shared.layers_on_gpus(), 18u);
  EXPECT_LE(shared.layers_on_gpus(), 24u);
  EXPECT_LE(shared.shares[0].total(), devices[0].budget());
  const std::vector<std::string> recipes = {"Q4_K_S", "Q3_K_M", "Q2_K"};
  const auto found = offers([&](const ServingOptions& serving) { return sizes(serving); }, devices, {}, recipes);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].text, "closing game (1.66 GiB) frees 1.66 GiB: 33/33 layers on the GPU");
  for (const Offer& offer : found) EXPECT_TRUE(offer.plan.whole()) << offer.text;
  std::cout << table(shared, devices);
  for (const Offer& offer : found) std::cout << offer.text << "\n";
}

}  // namespace
}  // namespace hearth::placement::test
