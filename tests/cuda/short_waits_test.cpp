#include "cuda/short_waits.h"

#include <gtest/gtest.h>

namespace hearth::cuda {
namespace {

using namespace std::chrono_literals;

TEST(ShortWaits, SpinsOnlyAfterAShortOne) {
  ShortWaits waits;
  EXPECT_EQ(waits.spin(), 0us) << "the first may be a long prompt";
  waits.took(300us);
  EXPECT_EQ(waits.spin(), ShortWaits::kMost);
  waits.took(ShortWaits::kMost);
  EXPECT_EQ(waits.spin(), 0us);
  waits.took(45ms);
  EXPECT_EQ(waits.spin(), 0us);
  waits.took(ShortWaits::kMost - 1ns);
  EXPECT_EQ(waits.spin(), ShortWaits::kMost);
}

}  // namespace
}  // namespace hearth::cuda
