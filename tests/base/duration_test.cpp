#include "base/duration.h"

#include "support/support.h"

namespace hearth {
namespace {

using std::chrono::nanoseconds;

TEST(Duration, IsWrittenAsGoDoes) {
  EXPECT_EQ(format_duration(nanoseconds(0)), "0s");
  EXPECT_EQ(format_duration(nanoseconds(17)), "17ns");
  EXPECT_EQ(format_duration(nanoseconds(1'500)), "1.5µs");
  EXPECT_EQ(format_duration(nanoseconds(325'900'000)), "325.9ms");
  EXPECT_EQ(format_duration(nanoseconds(1'234'567'000)), "1.234567s");
  EXPECT_EQ(format_duration(nanoseconds(2'000'000'000)), "2s");
  EXPECT_EQ(format_duration(nanoseconds(62'500'000'000)), "1m2.5s");
  EXPECT_EQ(format_duration(nanoseconds(3'600'000'000'000)), "1h0m0s");
  EXPECT_EQ(format_duration(nanoseconds(-1'500)), "-1.5µs");
}

}  // namespace
}  // namespace hearth
