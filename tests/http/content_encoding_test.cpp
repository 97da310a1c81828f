#include "http/content_encoding.h"

#include <zstd.h>

#include "support/support.h"

namespace hearth::http {
namespace {

std::string compressed(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

ErrorKind fault(std::string bytes, std::string_view encoding) {
  const auto body = decode(Body(std::move(bytes)), encoding);
  EXPECT_FALSE(body.ok());
  return body.ok() ? ErrorKind::kUsage : body.error().kind;
}

TEST(ContentEncoding, ZstdIsDecompressedAndTheRestStaysAsItIs) {
  for (const std::string& text : {std::string(), std::string("{\"a\":1}"), std::string(300'000, 'x')}) {
    const auto body = decode(Body(compressed(text)), "ZSTD");
    ASSERT_TRUE(body.ok()) << body.error().message;
    EXPECT_EQ(body->text(), text);
    EXPECT_EQ(decode(Body(text), "")->text(), text);
    EXPECT_EQ(decode(Body(text), "identity")->text(), text);
  }
  const auto two = decode(Body(compressed("ab") + compressed("cd")), "zstd");
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->text(), "abcd");
}

TEST(ContentEncoding, WhatIsBrokenTooLongOrUnknownIsRefused) {
  const std::string good = compressed(std::string(1000, 'x') + "y");
  EXPECT_EQ(fault("nonsense", "zstd"), ErrorKind::kInvalidData);
  EXPECT_EQ(fault("", "zstd"), ErrorKind::kInvalidData);
  for (size_t size = 1; size < good.size(); ++size)
    EXPECT_EQ(fault(good.substr(0, size), "zstd"), ErrorKind::kInvalidData);
  EXPECT_EQ(fault(compressed(std::string(kMost_decoded_bytes + 1, ' ')), "zstd"), ErrorKind::kTooLong) << "a bomb";
  EXPECT_EQ(fault("x", "br"), ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace hearth::http
