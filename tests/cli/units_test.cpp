// Small parts of the command line that need no model.
#include "cli/units.h"

#include "cli/input.h"
#include "support/support.h"

namespace hearth::cli {
namespace {

using std::chrono::nanoseconds;

TEST(Units, DurationsAreGos) {
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

TEST(Input, TokenIdsComeInAnyListForm) {
  const std::vector<int32_t> expected = {1, 2, 30000};
  for (const char* text : {"1 2 30000", "1,2,30000\n", "[1, 2, 30000]", "\n1\n2\r\n30000\n"}) {
    const auto ids = parse_token_ids(text, "f");
    ASSERT_TRUE(ids) << text;
    EXPECT_EQ(*ids, expected) << text;
  }
  for (const char* text : {"", " \n", "[]", "1 x", "1.5", "99999999999", "1;2", "{\"a\":1}"}) {
    const auto ids = parse_token_ids(text, "f");
    ASSERT_FALSE(ids) << text;
    EXPECT_EQ(ids.error().message.find("f "), 0u) << ids.error().message;
  }
}

TEST(Input, Utf8IsCheckedAndTheBadByteNamed) {
  EXPECT_TRUE(check_utf8("", "it"));
  EXPECT_TRUE(check_utf8("größer 😀 \x01", "it"));
  const Status bad = check_utf8("gr\xf6\xdf", "the prompt");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message.find("the prompt is not valid UTF-8: byte 0xf6 at offset 2"), 0u)
      << bad.error().message;
  for (const char* text : {"\xc3", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "\xc0\xaf", "\x80"})
    EXPECT_FALSE(check_utf8(text, "it"));
}

}  // namespace
}  // namespace hearth::cli
