#include <gtest/gtest.h>

#include "http/message.h"
#include "http/port_holder.h"
#include "http/target.h"

namespace hearth::http {
namespace {

TEST(HttpParts, Targets) {
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(split_target("/a?b=1"), Pair("/a", "b=1"));
  EXPECT_EQ(split_target("/a"), Pair("/a", ""));
  EXPECT_EQ(split_target("http://host:1/a?b"), Pair("/a", "b"));
  EXPECT_EQ(split_target("*"), Pair("*", ""));
  EXPECT_EQ(split_target("/a#b?c"), Pair("/a", ""));
  EXPECT_EQ(percent_decode("hf.co%2Fx%3a1"), "hf.co/x:1");
  for (const char* bad : {"%", "%2", "%zz", "%00", "a%1"}) EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
  EXPECT_EQ(query_value("a=1&beta=true&c", "beta"), "true");
  EXPECT_EQ(query_value("a=1&c", "c"), "");
  EXPECT_EQ(query_value("a=1&ab=2", "b"), std::nullopt);
}

TEST(HttpParts, HeadersCannotBeginOthers) {
  const std::string text = head_text({.status = 200, .headers = {{"X", "a\r\nSet-Cookie: b"}}}, "");
  EXPECT_EQ(text.find("\r\nSet-Cookie"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("X: a  Set-Cookie: b\r\n\r\n")) << text;
  Headers headers = {{"Content-Type", "a"}};
  EXPECT_EQ(headers.get("content-TYPE"), "a");
  EXPECT_EQ(headers.find("Content"), nullptr);
}

TEST(HttpParts, InodesOfListeningSockets) {
  const char* table =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0\n"
      "   1: 0100007F:2CAA 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0\n"
      "   2: 0100007F:2CAB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 888 1 0 100 0\n"
      "broken line\n";
  EXPECT_EQ(listening_inodes(table, 0x2CAA), std::vector<uint64_t>{12345});
  EXPECT_TRUE(listening_inodes(table, 1).empty());
  EXPECT_TRUE(listening_inodes("", 1).empty());
}

}  // namespace
}  // namespace hearth::http
