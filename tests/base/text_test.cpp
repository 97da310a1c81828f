#include "base/text.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(Text, CaseOfAsciiLettersIsIgnored) {
  EXPECT_TRUE(same_ignoring_case("Q4_K_m", "q4_k_M"));
  EXPECT_TRUE(same_ignoring_case("", ""));
  EXPECT_FALSE(same_ignoring_case("q4_k", "q4_k_m"));
  EXPECT_FALSE(same_ignoring_case("\xC4", "\xE4")) << "no letter of ASCII";
  EXPECT_FALSE(same_ignoring_case("@", "`")) << "one bit from being letters";
}

TEST(Text, TheNearestNameIsAtMostTwoTypingErrorsAway) {
  const std::vector<std::string_view> names = {"serve", "show", "run"};
  EXPECT_EQ(nearest("serv", names), "serve");
  EXPECT_EQ(nearest("SHOW", names), "show");
  EXPECT_EQ(nearest("rnu", names), "run");
  constexpr std::string_view kShort[] = {"rm", "run"};
  EXPECT_EQ(nearest("rnu", kShort), "run");  // exchanged letters are one error
  EXPECT_EQ(nearest("delete", names), "");
}

TEST(Text, SizesHaveThreeDigitsAndBinaryUnits) {
  EXPECT_EQ(size_text(0), "0");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1024), "1 KiB");
  EXPECT_EQ(size_text(12 << 10), "12 KiB");
  EXPECT_EQ(size_text(3 << 19), "1.5 MiB");
  EXPECT_EQ(size_text(856 << 20), "856 MiB");
  EXPECT_EQ(size_text(uint64_t{9} << 29), "4.50 GiB");
  EXPECT_EQ(size_text(uint64_t{80} << 30), "80.0 GiB");
  EXPECT_EQ(size_text(UINT64_MAX), "17179869184.0 GiB");
}

}  // namespace
}  // namespace hearth
