// How good encoding is, and that no input breaks it.
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string_view>

#include "quant/format.h"
#include "support/support.h"

namespace hearth::quant {
namespace {

std::vector<const Format*> writable() {
  std::vector<const Format*> list;
  for (const Format* format : all_formats())
    if (format->encode != nullptr) list.push_back(format);
  return list;
}

bool has_blocks(const Format& format) {
  return format.block_values > 1;
}

std::vector<float> round_trip(const Format& format, const std::vector<float>& in, const float* importance = nullptr) {
  std::vector<uint8_t> blocks(format.bytes(in.size()) + 1, 0xcd);
  format.encode(in.data(), in.size(), importance, blocks.data());
  EXPECT_EQ(blocks.back(), 0xcd) << "wrote beyond the blocks";
  std::vector<float> out(in.size());
  format.decode(blocks.data(), out.size(), out.data());
  return out;
}

std::vector<float> normal(size_t n, uint64_t seed, float deviation) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> distribution(0, deviation);
  std::vector<float> values(n);
  for (float& value : values) value = distribution(random);
  return values;
}

class Encode : public testing::TestWithParam<const Format*> {};
INSTANTIATE_TEST_SUITE_P(Formats, Encode, testing::ValuesIn(writable()),
                         [](const auto& p) { return std::string(p.param->name); });

// Relative error on normally distributed weights, at several magnitudes; the bounds are about 3 % above
// what the encoders reach. One sample for all time: others are off by up to 1 % (a standard deviation). (NVFP4's own
// scales are subnormal below 1/64: such tensors come with a factor.)
TEST_P(Encode, KeepsNormalWeights) {
  const std::map<std::string, double> allowed = {
      {"F32", 0},         {"F16", 0.00022}, {"BF16", 0.0018},  {"Q8_0", 0.0056},   {"Q6_K", 0.0172}, {"Q5_K", 0.0362},
      {"Q5_1", 0.0352},   {"Q5_0", 0.0412}, {"Q4_K", 0.0727},  {"Q4_1", 0.0720},   {"Q4_0", 0.0832}, {"IQ4_NL", 0.0755},
      {"IQ4_XS", 0.0762}, {"MXFP4", 0.116}, {"NVFP4", 0.093},  {"Q3_K", 0.148},    {"IQ3_S", 0.134}, {"IQ3_XXS", 0.183},
      {"Q2_K", 0.272},    {"IQ2_S", 0.246}, {"IQ2_XS", 0.294}, {"IQ2_XXS", 0.337}, {"IQ1_M", 0.425}, {"IQ1_S", 0.458},
      {"TQ1_0", 0.448},   {"TQ2_0", 0.448},
  };
  const Format& format = *GetParam();
  for (const float deviation : {0.02f, 1.0f, 30.0f}) {
    const std::vector<float> in = normal(64 * 256, 1, deviation);
    EXPECT_LE(test::relative_error(round_trip(format, in), in), allowed.at(format.name)) << "deviation " << deviation;
  }
}

TEST_P(Encode, KeepsZeros) {
  const std::vector<float> zeros(512, 0.0f);
  for (const float value : round_trip(*GetParam(), zeros)) ASSERT_EQ(value, 0);
}

// One value everywhere comes back nearly, except from grids, which have few points of equal coordinates.
TEST_P(Encode, KeepsConstantBlocks) {
  const Format& format = *GetParam();
  const std::string_view name = format.name;
  if (name.starts_with("IQ1") || name.starts_with("IQ2") || name.starts_with("IQ3")) return;
  for (const float value : {0.75f, -0.75f}) {
    const std::vector<float> in(512, value);
    EXPECT_LE(test::relative_error(round_trip(format, in), in), 0.04) << value;
  }
}

TEST_P(Encode, SurvivesWhatIsNoWeight) {
  const Format& format = *GetParam();
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float odd[] = {nan,    -nan,   inf,    -inf,    0x1p127f, -0x1p127f, 1e-45f, -1e-45f,
                       1e-38f, 1e-30f, 1e-20f, 70000.f, 1e9f,     -0.0f,     3e38f,  0x1p-24f};
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 200; ++round) {
    std::vector<float> in = normal(512, random(), 0.05f), importance = normal(512, random(), 1);
    const size_t how_many = round % 4 == 0 ? in.size() : random() % 16;
    const size_t kinds = 1 + random() % std::size(odd);
    for (size_t i = 0; i < how_many; ++i) {
      in[random() % in.size()] = odd[random() % kinds];
      importance[random() % in.size()] = odd[random() % kinds];
    }
    const std::vector<float> out = round_trip(format, in, round % 2 == 0 ? nullptr : importance.data());
    if (!has_blocks(format)) continue;  // plain floats keep infinities and NaN
    for (const float value : out) ASSERT_TRUE(std::isfinite(value)) << "round " << round;
  }
}

// NaN counts as zero: it does not spoil its neighbours.
TEST_P(Encode, TakesNanForZero) {
  const Format& format = *GetParam();
  if (!has_blocks(format)) return;
  std::vector<float> in = normal(512, test::seed(), 0.05f);
  std::vector<float> cleaned = in;
  in[5] = in[300] = std::numeric_limits<float>::quiet_NaN();
  cleaned[5] = cleaned[300] = 0;
  EXPECT_EQ(round_trip(format, in), round_trip(format, cleaned));
}

TEST_P(Encode, BlocksAreIndependent) {
  const Format& format = *GetParam();
  const std::vector<float> in = normal(1024, test::seed(), 0.05f), importance(1024, 0.5f);
  std::vector<uint8_t> whole(format.bytes(1024)), parts(format.bytes(1024));
  format.encode(in.data(), 1024, importance.data(), whole.data());
  for (size_t at = 0; at < 1024; at += 256)
    format.encode(in.data() + at, 256, importance.data() + at, parts.data() + format.bytes(at));
  EXPECT_EQ(whole, parts);
}

TEST_P(Encode, EqualImportanceIsNoImportance) {
  const std::vector<float> in = normal(1024, test::seed(), 0.05f), importance(1024, 7.0f), none(1024, 0.0f);
  const std::vector<float> plain = round_trip(*GetParam(), in);
  EXPECT_EQ(round_trip(*GetParam(), in, importance.data()), plain);
  EXPECT_EQ(round_trip(*GetParam(), in, none.data()), plain);
}

// Errors where the importance is large become smaller, for which the others pay: by little where a format has few
// values to choose from, which not every sample would show.
TEST_P(Encode, FavoursImportantValues) {
  const Format& format = *GetParam();
  if (!has_blocks(format) || std::string(format.name) == "Q8_0") return;  // do not use it
  const std::vector<float> in = normal(64 * 256, 1, 0.05f);
  std::vector<float> importance(in.size());
  std::mt19937_64 random(2);
  for (float& weight : importance) weight = random() % 8 == 0 ? 100.0f : 1.0f;
  const auto weighted_error = [&](const std::vector<float>& out) {
    double error = 0;
    for (size_t i = 0; i < in.size(); ++i) error += importance[i] * (out[i] - in[i]) * (out[i] - in[i]);
    return error;
  };
  EXPECT_LT(weighted_error(round_trip(format, in, importance.data())), 0.97 * weighted_error(round_trip(format, in)));
}

// Weights trained to three values are stored without loss.
TEST(EncodeTernary, KeepsTernaryWeights) {
  std::mt19937_64 random(test::seed());
  std::vector<float> in(1024);
  for (float& value : in) value = 0.125f * (static_cast<float>(random() % 3) - 1);
  EXPECT_EQ(round_trip(*find_name("TQ1_0"), in), in);
  EXPECT_EQ(round_trip(*find_name("TQ2_0"), in), in);
}

TEST(EncodePlain, RoundsToNearestEven) {
  EXPECT_EQ(round_trip(*find_name("F16"), {1 + 0x1p-11f, 1 + 3 * 0x1p-11f}), (std::vector<float>{1, 1 + 0x1p-9f}));
  EXPECT_EQ(round_trip(*find_name("BF16"), {1 + 0x1p-8f, 1 + 3 * 0x1p-8f}), (std::vector<float>{1, 1 + 0x1p-6f}));
}

}  // namespace
}  // namespace hearth::quant
