#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace hearth {
namespace {

TEST(Half, EveryPatternSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float f = half_to_float(static_cast<uint16_t>(h));
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(f))));
    } else {
      EXPECT_EQ(float_to_half(f), h) << f;
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);      // a tie: down to even
  EXPECT_EQ(float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);  // a tie: up to even
  EXPECT_EQ(float_to_half(65519.9f), 0x7bff);             // the largest finite half
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);             // overflows
  EXPECT_EQ(float_to_half(0x1p-25f), 0x0000);             // half the smallest subnormal: even is 0
  EXPECT_EQ(float_to_half(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
}

TEST(Bfloat, RoundsToNearestEvenAndKeepsNaN) {
  EXPECT_EQ(float_to_bfloat(1.0f), 0x3f80);
  EXPECT_EQ(float_to_bfloat(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(float_to_bfloat(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_TRUE(std::isnan(bfloat_to_float(float_to_bfloat(NAN))));
}

}  // namespace
}  // namespace hearth
