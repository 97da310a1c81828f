// Files of pictures: whatever they hold, an error or a picture within the limits.
#include "base/check.h"
#include "fuzz/seeds.h"
#include "image/decode.h"

using namespace hearth;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const image::Limits limits{.file_bytes = 1 << 20, .pixels = 1 << 20, .side = 1 << 14};
  const auto picture = image::decode(std::as_bytes(std::span(data, size)), limits);
  if (!picture) {
    CHECK(!picture.error().message.empty());
    return 0;
  }
  CHECK(uint64_t{picture->width} * picture->height <= limits.pixels);
  CHECK(picture->rgb.size() == size_t{picture->width} * picture->height * 3);
  return 0;
}
