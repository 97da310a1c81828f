// The registry, block sizes, and blocks that can be decoded by hand.
#include "quant/format.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "base/finite.h"
#include "base/half.h"
#include "support/support.h"

namespace hearth::quant {
namespace {

std::vector<float> decode(const char* name, std::vector<uint8_t> block) {
  const Format* format = find_name(name);
  EXPECT_NE(format, nullptr) << name;
  EXPECT_EQ(block.size(), format->block_bytes) << name;
  std::vector<float> out(format->block_values);
  format->decode(block.data(), out.size(), out.data());
  return out;
}

void put_half(std::vector<uint8_t>& block, size_t at, float value) {
  const uint16_t half = float_to_half(value);
  std::memcpy(block.data() + at, &half, 2);
}

// GGUF: type number, values and bytes per block.
TEST(Formats, HaveTheirNumbersAndSizes) {
  const struct {
    const char* name;
    uint32_t type, values, bytes;
  } expected[] = {
      {"F32", 0, 1, 4},         {"F16", 1, 1, 2},        {"Q4_0", 2, 32, 18},      {"Q4_1", 3, 32, 20},
      {"Q5_0", 6, 32, 22},      {"Q5_1", 7, 32, 24},     {"Q8_0", 8, 32, 34},      {"Q2_K", 10, 256, 84},
      {"Q3_K", 11, 256, 110},   {"Q4_K", 12, 256, 144},  {"Q5_K", 13, 256, 176},   {"Q6_K", 14, 256, 210},
      {"IQ2_XXS", 16, 256, 66}, {"IQ2_XS", 17, 256, 74}, {"IQ3_XXS", 18, 256, 98}, {"IQ1_S", 19, 256, 50},
      {"IQ4_NL", 20, 32, 18},   {"IQ3_S", 21, 256, 110}, {"IQ2_S", 22, 256, 82},   {"IQ4_XS", 23, 256, 136},
      {"I8", 24, 1, 1},         {"I16", 25, 1, 2},       {"I32", 26, 1, 4},        {"I64", 27, 1, 8},
      {"F64", 28, 1, 8},        {"IQ1_M", 29, 256, 56},  {"BF16", 30, 1, 2},       {"TQ1_0", 34, 256, 54},
      {"TQ2_0", 35, 256, 66},   {"MXFP4", 39, 32, 17},   {"NVFP4", 40, 64, 36},
  };
  EXPECT_EQ(all_formats().size(), std::size(expected));
  for (const auto& e : expected) {
    const Format* format = find_type(e.type);
    ASSERT_NE(format, nullptr) << e.name;
    EXPECT_STREQ(format->name, e.name);
    EXPECT_EQ(format->block_values, e.values) << e.name;
    EXPECT_EQ(format->block_bytes, e.bytes) << e.name;
    EXPECT_EQ(find_name(e.name), format);
  }
}

TEST(Formats, AreFoundInAnyCaseAndListedByNumber) {
  EXPECT_EQ(find_name("q4_k"), find_type(12));
  EXPECT_EQ(find_name("Q4_K_M"), nullptr);  // a recipe, not a format
  EXPECT_EQ(find_name(""), nullptr);
  EXPECT_EQ(find_type(4), nullptr);  // removed from GGUF
  std::set<uint32_t> types;
  for (const Format* format : all_formats()) {
    EXPECT_TRUE(types.empty() || *types.rbegin() < format->type);
    types.insert(format->type);
  }
}

TEST(Formats, CountBytes) {
  EXPECT_EQ(find_name("Q4_K")->bytes(4096), 16u * 144);
}

TEST(Q4_0, LowNibblesComeFirst) {
  std::vector<uint8_t> block(18, 0x88);  // 8 is zero
  put_half(block, 0, 0.5f);
  block[2] = 0xf0;
  const std::vector<float> x = decode("Q4_0", block);
  EXPECT_EQ(x[0], -4);
  EXPECT_EQ(x[16], 3.5f);
  EXPECT_EQ(x[1], 0);
}

TEST(Q8_0, IsSigned) {
  std::vector<uint8_t> block(34);
  put_half(block, 0, 0.25f);
  block[2] = 0xff;
  block[33] = 127;
  const std::vector<float> x = decode("Q8_0", block);
  EXPECT_EQ(x[0], -0.25f);
  EXPECT_EQ(x[31], 31.75f);
}

TEST(Q4_K, ScalesAboveTheFourthAreSplit) {
  std::vector<uint8_t> block(144);
  put_half(block, 0, 1);
  put_half(block, 2, 0.5f);
  block[4 + 1] = 0x80 | 3;  // scale 1 is 3; bits 4-5 of scale 5 are 2
  block[4 + 8 + 1] = 0x75;  // scale 5 is 32 + 5, min 5 is 7
  block[16 + 64] = 0xa0;    // q[128] is 0, q[160], the first of sub-block 5, is 10
  block[16] = 0x20;         // q[32], the first of sub-block 1, is 2
  const std::vector<float> x = decode("Q4_K", block);
  EXPECT_EQ(x[160], 37 * 10 - 0.5f * 7);
  EXPECT_EQ(x[161], -3.5f);
  EXPECT_EQ(x[32], 6);
}

TEST(MXFP4, HasPowersOfTwoAsScales) {
  std::vector<uint8_t> block(17);
  block[0] = 128;   // 2
  block[1] = 0xf7;  // 6 and -6
  block[2] = 0x91;  // 0.5 and -0.5
  const std::vector<float> x = decode("MXFP4", block);
  EXPECT_EQ(x[0], 12);
  EXPECT_EQ(x[16], -12);
  EXPECT_EQ(x[1], 1);
  EXPECT_EQ(x[17], -1);
  block[0] = 0;  // the smallest scale, 2^-127
  EXPECT_EQ(decode("MXFP4", block)[0], 6 * 0x1p-127f);
}

TEST(PlainNumbers, BecomeFloats) {
  EXPECT_EQ(decode("I8", {0x80})[0], -128);
  EXPECT_EQ(decode("I16", {0xfe, 0xff})[0], -2);
  EXPECT_EQ(decode("I32", {1, 0, 1, 0})[0], 65537);
  EXPECT_EQ(decode("I64", {0, 0, 0, 0, 1, 0, 0, 0})[0], 0x1p32f);
  EXPECT_EQ(decode("F64", {0, 0, 0, 0, 0, 0, 0xf8, 0x3f})[0], 1.5f);
}

// Any bytes may stand in a file: decoding reads and writes exactly its blocks.
TEST(Formats, DecodeAnyBytes) {
  std::mt19937_64 random(test::seed());
  for (const Format* format : all_formats()) {
    SCOPED_TRACE(format->name);
    const size_t values = 4 * format->block_values;
    for (int round = 0; round < 50; ++round) {
      std::vector<uint8_t> blocks(format->bytes(values));  // exact size: the address sanitizer sees reads beyond
      for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random());
      const float untouched = 12345;
      std::vector<float> out(values + 1, untouched), again(values, 0);
      format->decode(blocks.data(), values, out.data());
      ASSERT_EQ(out[values], untouched);
      for (size_t at = 0; at < values; at += format->block_values)
        format->decode(blocks.data() + format->bytes(at), format->block_values, again.data() + at);
      ASSERT_EQ(std::memcmp(out.data(), again.data(), values * sizeof(float)), 0) << "blocks depend on each other";
    }
  }
}

// By its definition: blocks of any bits are finite if what they decode to is. (MXFP4's two largest scales
// make infinite values of sound blocks.)
TEST(Formats, FiniteBlocksAreThoseThatDecodeToFiniteValues) {
  std::mt19937_64 random(test::seed());
  for (const Format* format : all_formats()) {
    std::vector<uint8_t> block(format->block_bytes);
    std::vector<float> values(format->block_values);
    bool some[2] = {};
    for (int round = 0; round < 3000; ++round) {
      for (uint8_t& byte : block) byte = static_cast<uint8_t>(random());
      if (round % 3 == 0) std::ranges::fill(block, 0xff);
      if (format->name == std::string_view("MXFP4") && (block[0] == 253 || block[0] == 254)) continue;
      format->decode(block.data(), values.size(), values.data());
      const bool finite = format->finite(block.data(), 1);
      ASSERT_EQ(finite, all_finite(values)) << format->name;
      some[finite] = true;
    }
    EXPECT_TRUE(some[1]) << format->name;
    EXPECT_TRUE(some[0] || (*format->name == 'I' && format->block_values == 1)) << format->name;
  }
}

TEST(Formats, FiniteLooksAtEveryBlock) {
  for (const Format* format : all_formats()) {
    if (format->encode == nullptr) continue;
    std::vector<float> values(size_t{5} * format->block_values, 0.5f);
    std::vector<uint8_t> blocks(format->bytes(values.size()));
    format->encode(values.data(), values.size(), nullptr, blocks.data());
    EXPECT_TRUE(format->finite(blocks.data(), 5)) << format->name;
    std::fill_n(blocks.end() - format->block_bytes, format->block_bytes, 0xff);
    EXPECT_FALSE(format->finite(blocks.data(), 5)) << format->name;
    EXPECT_TRUE(format->finite(blocks.data(), 4)) << format->name;
  }
}

}  // namespace
}  // namespace hearth::quant
