// Every format against blocks and values that ggml made from the same original.
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/fnv1a.h"
#include "quant/format.h"
#include "support/support.h"

namespace hearth::quant {
namespace {

// All but F32 and the plain numbers, which are copied or converted.
std::vector<const Format*> formats_with_golden_blocks() {
  std::vector<const Format*> list;
  for (const Format* format : all_formats())
    if (format->type != 0 && (format->type < 24 || format->type > 28)) list.push_back(format);
  return list;
}

std::vector<uint8_t> from_hex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

// A sample that is always here; all rows, and where they differ, with the shared material.
TEST(GoldenBlocks, DecodeToTheDigestOfGgmlsValues) {
  std::ifstream in(HEARTH_SOURCE_DIR "/tests/quant/golden_blocks.txt");
  size_t found = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream fields(line);
    std::string name, hex, digest;
    fields >> name >> hex >> digest;
    const std::vector<uint8_t> blocks = from_hex(hex);
    for (const Format* format : all_formats()) {
      if (format->name != name) continue;
      ++found;
      std::vector<float> values(512);
      ASSERT_EQ(format->bytes(values.size()), blocks.size()) << name;
      format->decode(blocks.data(), values.size(), values.data());
      const std::string_view decoded(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
      EXPECT_EQ(fnv1a(decoded), std::stoull(digest, nullptr, 16)) << name;
    }
  }
  EXPECT_EQ(found, formats_with_golden_blocks().size());
}

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
  ASSERT_NE(format.encode, nullptr);
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

INSTANTIATE_TEST_SUITE_P(Formats, Golden, testing::ValuesIn(formats_with_golden_blocks()),
                         [](const auto& p) { return std::string(p.param->name); });

}  // namespace
}  // namespace hearth::quant
