// How many rows a step has, for a device of known speed.
#include "vision/pace.h"

#include <gtest/gtest.h>

namespace hearth::vision {
namespace {

using std::chrono::milliseconds;

constexpr double kRow = 1e6;  // operations
constexpr uint32_t kLeast = 32;

// Steps of a device with so many operations a second, until `rows` are done.
std::vector<uint32_t> steps(Pace& pace, uint32_t rows, double speed) {
  std::vector<uint32_t> all;
  while (rows > 0) {
    const uint32_t count = std::min(rows, pace.rows(kRow, kLeast));
    pace.learn(count * kRow, std::chrono::nanoseconds(static_cast<int64_t>(count * kRow / speed * 1e9)));
    all.push_back(count);
    rows -= count;
  }
  return all;
}

TEST(Pace, StepsGrowToWhatTheBoundHolds) {
  Pace pace([] { return milliseconds(100); });
  const std::vector<uint32_t> all = steps(pace, 4000, 1e10);  // 1000 rows in 100 ms
  EXPECT_EQ(std::vector(all.begin(), all.begin() + 6), (std::vector<uint32_t>{32, 64, 128, 256, 512, 1000}));
}

TEST(Pace, FollowsTheBoundAndTheSpeed) {
  milliseconds bound(100);
  Pace pace([&] { return bound; });
  steps(pace, 4000, 1e10);
  bound = milliseconds(50);  // another came, who wants half
  EXPECT_EQ(pace.rows(kRow, kLeast), 500u);
  steps(pace, 20000, 1e9);
  EXPECT_NEAR(pace.rows(kRow, kLeast), 50, 2);
  EXPECT_EQ(pace.rows(100 * kRow, kLeast), kLeast);
}

TEST(Pace, WithoutABoundThereAreNoLimits) {
  const Pace pace;
  EXPECT_GT(pace.rows(1e12, kLeast), 1u << 20);
}

}  // namespace
}  // namespace hearth::vision
