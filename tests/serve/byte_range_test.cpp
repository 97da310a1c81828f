#include <gtest/gtest.h>

#include "serve/registry_routes.h"

namespace hearth::serve {
namespace {

TEST(ByteRanges, AreAsInRfc9110) {
  const auto range = [](const char* header) -> std::string {
    const auto parsed = parse_byte_range(header, 1000);
    if (!parsed) return "416";
    return *parsed ? fmt::format("{}-{}", (*parsed)->first, (*parsed)->last) : "whole";
  };
  EXPECT_EQ(range("bytes=0-0"), "0-0");
  EXPECT_EQ(range("bytes=10-"), "10-999");
  EXPECT_EQ(range("bytes=10-5000"), "10-999");
  EXPECT_EQ(range("bytes=-10"), "990-999");
  EXPECT_EQ(range("bytes=-5000"), "0-999");
  for (const char* outside : {"bytes=1000-", "bytes=5-4", "bytes=-0"}) EXPECT_EQ(range(outside), "416") << outside;
  for (const char* none : {"", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,5-6", "lines=0-1", "bytes=1"})
    EXPECT_EQ(range(none), "whole") << none;
  EXPECT_FALSE(parse_byte_range("bytes=0-0", 0));
}

}  // namespace
}  // namespace hearth::serve
