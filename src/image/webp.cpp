// WebP by libwebp.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "base/error.h"
#include "image/exif.h"
#include "image/formats.h"

namespace hearth::image {
namespace {

int orientation_of(const WebPData& data) {
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemux(&data), WebPDemuxDelete);
  WebPChunkIterator chunk{};
  if (demuxer == nullptr || WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) == 0) return 1;
  const int orientation = exif_orientation(std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size)));
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

Result<Picture> decode_webp(std::span<const std::byte> file, const Limits& limits, int* orientation) {
  const WebPData data{reinterpret_cast<const uint8_t*>(file.data()), file.size()};
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(data.bytes, data.size, &features) != VP8_STATUS_OK)
    return error(ErrorKind::kInvalidData, "a broken WebP picture: its header cannot be read");
  if (features.has_animation != 0) return error(ErrorKind::kUnsupported, "a WebP animation: send one of its pictures");
  TRY(check_size("WebP", static_cast<uint64_t>(features.width), static_cast<uint64_t>(features.height), limits));
  Picture picture = blank(static_cast<uint32_t>(features.width), static_cast<uint32_t>(features.height));
  if (WebPDecodeRGBInto(data.bytes, data.size, picture.rgb.data(), picture.rgb.size(), 3 * features.width) == nullptr)
    return error(ErrorKind::kInvalidData, "a broken WebP picture: it is cut, or its data are no picture");
  *orientation = orientation_of(data);
  return picture;
}

}  // namespace

const Format kWebp{
    "WebP", [](std::span<const std::byte> file) { return starts_with(file, "RIFF") && starts_with(file, "WEBP", 8); },
    decode_webp};

}  // namespace hearth::image
