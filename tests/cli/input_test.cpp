// What the command line makes of texts that it is given.
#include "cli/input.h"

#include "support/support.h"

namespace hearth::cli {
namespace {

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
