// Measuring what the machine gives at best takes no longer on a busy machine than it must.
#include <gtest/gtest.h>

#include <vector>

#include "cpu/best_seconds.h"

namespace hearth::cpu {
namespace {

// Runs that take these times, one after the other, the last one's again and again.
struct Runs {
  std::vector<double> each_s;
  int count = 0;
  double now_s = 0;

  double best() {
    return best_seconds([&] { now_s += each_s[std::min(static_cast<size_t>(count), each_s.size() - 1)], ++count; },
                        [&] { return now_s; });
  }
};

TEST(BestSeconds, IsTheShortestOfFive) {
  Runs runs{{0.1, 0.06, 0.09, 0.05, 0.08, 0.01}};
  EXPECT_DOUBLE_EQ(runs.best(), 0.05);
  EXPECT_EQ(runs.count, 5);
}

TEST(BestSeconds, StopsRepeatingAfterASecond) {
  Runs slow{{0.4}};
  EXPECT_DOUBLE_EQ(slow.best(), 0.4);
  EXPECT_EQ(slow.count, 3);
  Runs very_slow{{7}};
  EXPECT_DOUBLE_EQ(very_slow.best(), 7);
  EXPECT_EQ(very_slow.count, 1);
}

}  // namespace
}  // namespace hearth::cpu
