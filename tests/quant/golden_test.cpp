// Every format against blocks and values that ggml made from the same original.
#include <cmath>
#include <cstring>

#include "quant/format.h"
#include "support/support.h"

namespace hearth::quant {
namespace {

class Golden : public testing::TestWithParam<const Format*> {};

TEST_P(Golden, DecodesToTheSameBits) {
  const Format& format = *GetParam();
  const std::string file = std::string("golden/quant/") + format.name;
  REQUIRE_SHARED(file + ".bin");
  const std::vector<uint8_t> blocks = test::read_bytes(test::shared(file + ".bin"));
  const std::vector<float> expected = test::read_npy(test::shared(file + ".npy")).values;
  ASSERT_EQ(format.bytes(expected.size()), blocks.size());
  std::vector<float> out(expected.size());
  format.decode(blocks.data(), out.size(), out.data());
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_EQ(std::memcmp(&out[i], &expected[i], sizeof(float)), 0) << i << ": " << out[i] << ", not " << expected[i];
}

TEST_P(Golden, EncodesAtLeastAsWell) {
  const Format& format = *GetParam();
  const std::string file = std::string("golden/quant/") + format.name + ".npy";
  REQUIRE_SHARED(file);
  if (format.encode == nullptr) GTEST_SKIP() << format.name << " cannot be written";
  const std::vector<float> original = test::read_npy(test::shared("golden/quant/original.npy")).values;
  const std::vector<float> theirs = test::read_npy(test::shared(file)).values;
  std::vector<uint8_t> blocks(format.bytes(original.size()));
  std::vector<float> ours(original.size());
  format.encode(original.data(), original.size(), nullptr, blocks.data());
  format.decode(blocks.data(), ours.size(), ours.data());
  const double error = test::relative_error(ours, original), allowed = test::relative_error(theirs, original);
  RecordProperty("error", std::to_string(error));
  RecordProperty("ratio", std::to_string(error / allowed));
  EXPECT_LE(error, 1.02 * allowed);
}

INSTANTIATE_TEST_SUITE_P(Formats, Golden, testing::ValuesIn(all_formats()),
                         [](const auto& p) { return std::string(p.param->name); });

}  // namespace
}  // namespace hearth::quant
