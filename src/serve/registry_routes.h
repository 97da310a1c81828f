// The models of this machine for other hearths, as a registry that can be read: GET and HEAD of
// /v2/SPACE/MODEL/manifests/TAG and /v2/SPACE/MODEL/blobs/DIGEST, for who may ask models. A cluster so downloads a
// model once.
#pragma once

#include "api/router.h"
#include "serve/workers.h"

namespace hearth::serve {

void add_registry_routes(api::Router& router, Workers& workers);

// [first, last] of a Range header for a file of `bytes`; nothing where the whole file is to be sent: no range, several
// ranges, or another unit. kUsage: it lies outside.
struct ByteRange {
  uint64_t first = 0, last = 0;
};
Result<std::optional<ByteRange>> parse_byte_range(std::string_view header, uint64_t bytes);

}  // namespace hearth::serve
