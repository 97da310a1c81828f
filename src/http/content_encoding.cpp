#include "http/content_encoding.h"

#include <zstd.h>

#include <array>
#include <memory>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"

namespace hearth::http {
namespace {

Result<std::string> decompress(std::string_view bytes) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  if (stream == nullptr) return error(ErrorKind::kNoMemory, "there is no memory to decompress the body");
  std::string text;
  std::array<char, size_t{64} << 10> piece{};
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  size_t left = 1;  // 0 at the end of a frame
  while (in.pos < in.size || left != 0) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    const size_t before = in.pos;
    left = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(left))
      return error(ErrorKind::kInvalidData, "the body is no valid zstd: {}", ZSTD_getErrorName(left));
    if (text.size() + out.pos > kMost_decoded_bytes)
      return error(ErrorKind::kTooLong, "the decompressed body has more than {} bytes", kMost_decoded_bytes);
    text.append(piece.data(), out.pos);
    if (out.pos == 0 && in.pos == before && in.pos == in.size && left != 0)
      return error(ErrorKind::kInvalidData, "the compressed body breaks off");
  }
  return text;
}

}  // namespace

Result<Body> decode(Body body, std::string_view encoding) {
  if (encoding.empty() || same_ignoring_case(encoding, "identity")) return body;
  if (!same_ignoring_case(encoding, "zstd"))
    return error(ErrorKind::kUnsupported, "the Content-Encoding \"{}\" is not known; zstd is",
                 printable(encoding.substr(0, 64)));
  ASSIGN_OR_RETURN(std::string text, decompress(body.text()));
  return Body(std::move(text));
}

}  // namespace hearth::http
