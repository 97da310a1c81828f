#include "base/outside_text.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

using namespace std::string_literals;

TEST(OutsideText, NothingPrintableSteersATerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\x07\r\n\t\x7f"), "a\\x1b[2Jb\\x07\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(printable("a\n\tb\x1b", "\n\t"), "a\n\tb\\x1b");
  EXPECT_EQ(printable("é 模型 🙂"), "é 模型 🙂");
  EXPECT_EQ(printable("\xC2\x9B""2J"), "\\xc2\\x9b2J") << "CSI as one character";
  EXPECT_EQ(printable("\x9B""2J \xE4 \xE4\xB8"), "\\x9b2J \\xe4 \\xe4\\xb8") << "CSI as one byte, and half a character";
  EXPECT_EQ(printable("a\0b"s), "a\\x00b");
}

TEST(OutsideText, MarksAndLineEndsOfWindowsAreDropped) {
  const auto without_end = [](std::string text) {
    drop_byte_order_mark(text);
    drop_line_end(text);
    return text;
  };
  for (const char* text : {"a", "a\n", "a\r\n", "a\r", "\xEF\xBB\xBF" "a\r\n"}) EXPECT_EQ(without_end(text), "a");
  EXPECT_EQ(without_end("a\n\n"), "a\n") << "one line's end";
  EXPECT_EQ(without_end("a\r\nb"), "a\r\nb");
  EXPECT_EQ(without_end(""), "");
}

TEST(OutsideText, WideEncodingsAreRecognised) {
  EXPECT_STREQ(wide_encoding("\xFF\xFEH\0i\0"s), "UTF-16");
  EXPECT_STREQ(wide_encoding("\xFE\xFF\0H\0i"s), "UTF-16");
  EXPECT_STREQ(wide_encoding("H\0e\0l\0l\0o\0"s), "UTF-16");
  EXPECT_STREQ(wide_encoding("\xFF\xFE\0\0H\0\0\0"s), "UTF-32");
  for (const std::string& text : {""s, "Hi"s, "Hello"s, "é"s, "\0\0\0\0\0\0"s, "a\0b and more text"s})
    EXPECT_EQ(wide_encoding(text), nullptr) << text;
}

}  // namespace
}  // namespace hearth
