// Hunyuan with experts, of which there are no golden logits: against the forward pass in numpy that the golden ones are
// made by. It knows the dense Hunyuan by name, and experts by their tensors.
#include "models/runner.h"
#include "models/small_model.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

constexpr const char* kForward = "tools/tiny2/forward.py";

SmallModel with_experts(const std::string& architecture) {
  SmallModel model(architecture);
  model.use_experts(5, 2);
  model.add_head_norms();
  model.set("rope.freq_base", 1e4f);
  model.set("expert_feed_forward_length", SmallModel::kInner);
  model.add_shared_expert();
  return model;
}

TEST(HunyuanWithExperts, GivesTheLogitsOfTheForwardPassInNumpy) {
  REQUIRE_SHARED(kForward);
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
    note_skipped();
    GTEST_SKIP() << "python3-numpy is not installed";
  }
  std::vector<int32_t> tokens(40);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * i * 7 % SmallModel::kVocabulary);
  SmallModel named_dense = with_experts("hunyuan-dense");
  named_dense.set("expert_weights_norm", true);  // as this family always does
  named_dense.open();
  const TemporaryFolder folder;
  const std::string out = folder / "expected.npy";
  const std::string command = fmt::format(
      "/usr/bin/python3 -B -c 'import sys; sys.path.insert(0, \"{}\"); import numpy, forward; "
      "numpy.save(\"{}\", forward.Model(\"{}\").logits([{}]).astype(\"float32\"))'",
      shared("tools/tiny2").string(), out, named_dense.path(), fmt::join(tokens, ","));
  ASSERT_EQ(std::system(command.c_str()), 0) << command;

  const SmallModel model = with_experts("hunyuan-moe");
  const auto device = std::move(*cpu::create_device({.threads = 1}));
  auto loaded = models::Model::load(
      model.open(), *device, {.context = 64, .batch_rows = 64, .logit_rows = 64, .cache = device::CacheType::kF32});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_LE(relative_error(run_in_chunks(**loaded, tokens, {30, 1, 9}), read_npy(out).values), 1e-5);
}

}  // namespace
}  // namespace hearth::test
