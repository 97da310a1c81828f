#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "cuda/images.h"

namespace hearth::cuda {

// The frames do not say how long their content is.
std::string Image::content() const {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  CHECK(stream != nullptr);
  ZSTD_inBuffer in{begin, static_cast<size_t>(end - begin), 0};
  std::string content;
  for (size_t left = 1; left != 0;) {
    const size_t done = content.size();
    content.resize(done + std::max(ZSTD_DStreamOutSize(), done));
    ZSTD_outBuffer out{content.data() + done, content.size() - done, 0};
    left = ZSTD_decompressStream(stream.get(), &out, &in);
    CHECK(!ZSTD_isError(left));  // the build has made them
    content.resize(done + out.pos);
    CHECK(left == 0 || out.pos > 0);
  }
  return content;
}

}  // namespace hearth::cuda
