#include "text/utf8_stream.h"

#include <gtest/gtest.h>

#include "support/support.h"

namespace hearth::text {
namespace {

std::string all_at_once(const std::string& bytes) {
  Utf8Stream stream;
  const std::string text = stream.feed(bytes);
  return text + stream.finish();
}

TEST(Utf8Stream, HoldsBackAnIncompleteCharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.feed("a\xC3"), "a");
  EXPECT_EQ(stream.feed("\xA9"), "é");
  EXPECT_EQ(stream.feed("\xF0\x9F\x8E"), "");
  EXPECT_EQ(stream.feed("\x89!"), "🎉!");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, ReplacesWhatCanNeverBecomeValid) {
  EXPECT_EQ(all_at_once("\xFF"), "\uFFFD");
  EXPECT_EQ(all_at_once("\xC0\xAF"), "\uFFFD\uFFFD");                      // an overlong slash
  EXPECT_EQ(all_at_once("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(all_at_once("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // past U+10FFFF
  EXPECT_EQ(all_at_once("\xE2\x82"
                        "a"),
            "\uFFFD"
            "a");  // cut short: one part, one sign
}

TEST(Utf8Stream, EndsAnIncompleteCharacterOnce) {
  Utf8Stream stream;
  EXPECT_EQ(stream.feed("a\xF0\x9F"), "a");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.feed("b"), "b");
}

TEST(Utf8Stream, GivesTheSameTextForEverySplit) {
  // Bytes that meet at the edges of what UTF-8 allows.
  const std::string alphabet = "a\x7F\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xDF\xE0\xE1\xED\xEF\xF0\xF1\xF4\xF5\xFF";
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (size_t n = random() % 9; n > 0; --n) bytes += alphabet[random() % alphabet.size()];
    const std::string expected = all_at_once(bytes);
    for (size_t cuts = 0; cuts < size_t{1} << (bytes.empty() ? 0 : bytes.size() - 1); ++cuts) {
      Utf8Stream stream;
      std::string text, part;
      for (size_t i = 0; i < bytes.size(); ++i) {
        part += bytes[i];
        if ((cuts >> i & 1) != 0 || i + 1 == bytes.size()) text += stream.feed(std::exchange(part, {}));
      }
      ASSERT_EQ(text + stream.finish(), expected) << testing::PrintToString(bytes) << " cut at " << cuts;
    }
  }
}

}  // namespace
}  // namespace hearth::text
