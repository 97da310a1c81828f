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

TEST(Duration, IsReadAsGoDoes) {
  const std::vector<std::pair<const char*, std::optional<int64_t>>> cases = {{"300ms", 300'000'000},
                                                                             {"1.5h", 5'400'000'000'000},
                                                                             {"1h0m1s", 3'601'000'000'000},
                                                                             {"-1m", -60'000'000'000},
                                                                             {"0", 0},
                                                                             {"1e9h", std::nullopt},
                                                                             {"5", std::nullopt},
                                                                             {"", std::nullopt},
                                                                             {"1h-5m", std::nullopt},
                                                                             {"5d", std::nullopt},
                                                                             {"9999999h", INT64_MAX}};
  for (const auto& [text, expected] : cases) {
    const auto duration = parse_duration(text);
    ASSERT_EQ(duration.has_value(), expected.has_value()) << text;
    if (duration) {
      EXPECT_EQ(duration->count(), *expected) << text;
    }
  }
}

}  // namespace
}  // namespace hearth
