// Every family quantised as users do it: which tensors change, and that the result computes what its weights say.
#include <boost/json.hpp>

#include "base/file.h"
#include "gguf/quantize.h"
#include "models/runner.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

constexpr const char* kIndex = "golden/logits2/index.json";

std::vector<std::string> all_models() {
  std::vector<std::string> names;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(shared("models/tiny2"), absent))
    names.push_back(entry.path().stem().string());
  std::ranges::sort(names);
  if (names.empty()) names.emplace_back("gpt-oss");  // whose test then says what is missing
  return names;
}

class Quantised : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    REQUIRE_SHARED(kIndex);
    path_ = shared("models/tiny2/" + GetParam() + ".gguf").string();
    const auto text = read_file(shared(kIndex).string());
    ASSERT_TRUE(text.ok());
    tokens_ = boost::json::value_to<std::vector<int32_t>>(boost::json::parse(*text).at("tokens"));
  }

  std::shared_ptr<const gguf::File> quantise(const std::string& from, const char* recipe) {
    const std::string out = folder_ / (std::string(recipe) + ".gguf");
    const auto done = gguf::quantize_file(from, out, *gguf::find_recipe(recipe), {.threads = 1});
    EXPECT_TRUE(done.ok()) << done.error().message;
    auto file = gguf::File::open(out);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return *file;
  }

  std::vector<float> logits(const std::shared_ptr<const gguf::File>& file, device::Device& device) {
    auto model = models::Model::load(
        file, device,
        {.context = 128, .batch_rows = 64, .logit_rows = 64, .pages = 16, .cache = device::CacheType::kF32});
    EXPECT_TRUE(model.ok()) << model.error().message;
    return model ? run_in_chunks(**model, tokens_, {64}) : std::vector<float>();
  }

  TemporaryFolder folder_;
  std::string path_;
  std::vector<int32_t> tokens_;
};

std::vector<std::byte> bytes_of(const gguf::File& file, const gguf::Tensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  EXPECT_TRUE(file.read(tensor, 0, bytes).ok());
  return bytes;
}

TEST_P(Quantised, ChangesMatricesAndNothingElse) {
  const auto before = *gguf::File::open(path_), after = quantise(path_, "Q4_K_M");
  ASSERT_EQ(after->tensors().size(), before->tensors().size());
  size_t changed = 0, kept = 0;
  for (const gguf::Tensor& tensor : before->tensors()) {
    const gguf::Tensor* now = after->tensor(tensor.name);
    ASSERT_NE(now, nullptr) << tensor.name;
    EXPECT_EQ(now->shape, tensor.shape) << tensor.name;
    if (now->format != tensor.format) {
      EXPECT_TRUE(gguf::is_quantised(tensor)) << tensor.name;
      EXPECT_LE(now->bytes, tensor.bytes) << tensor.name;
      ++changed;
      continue;
    }
    EXPECT_EQ(bytes_of(*after, *now), bytes_of(*before, tensor)) << tensor.name;
    kept += std::string_view(tensor.format->name) == "MXFP4";
  }
  EXPECT_GT(changed, 3u);
  EXPECT_EQ(kept, GetParam() == "gpt-oss-mxfp4" ? 6u : 0u);  // three stacks in each of two layers
}

TEST_P(Quantised, ComputesWhatItsWeightsSay) {
  const auto quantised = quantise(path_, "Q4_K_M");
  const auto plain = quantise(quantised->path(), "F32");
  for (const gguf::Tensor& tensor : plain->tensors())
    if (gguf::is_quantised(tensor)) {
      EXPECT_STREQ(tensor.format->name, "F32") << tensor.name;
    }
  const auto host = std::move(*cpu::create_device({.threads = 1}));
  ReferenceDevice exact;
  const std::vector<float> expected = logits(plain, *host);
  // What is rearranged while it is loaded (DeepSeek, of older files) becomes halves.
  EXPECT_LE(relative_error(logits(quantised, exact), expected), 1e-2);
  // Activations are rounded to 8 bits here, which routers and deep models amplify; a wrong row gives 1 and more.
  EXPECT_LE(relative_error(logits(quantised, *host), expected), 0.3);
}

INSTANTIATE_TEST_SUITE_P(Models, Quantised, testing::ValuesIn(all_models()), [](const auto& test) {
  std::string name = test.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace hearth::test
