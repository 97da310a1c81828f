// Paths of the APIs that stand under /v1.
#pragma once

#include <functional>
#include <string>

#include "api/router.h"

namespace hearth::api {

// Also without /v1 and with two, as clients make them from base addresses of all kinds, and with a slash at the end.
inline void add_v1(Router& router, const std::string& method, const std::string& path,
                   const std::function<void(const Call& call)>& run) {
  for (const char* prefix : {"/v1", "", "/v1/v1"})
    router.add({.method = method, .path = prefix + path, .run = run, .also_with_slash = true});
}

// Whether a path is one of these.
inline bool is_v1(const std::string& path, const std::string& which) {
  const size_t prefix = path.starts_with("/v1/v1/") ? 6 : path.starts_with("/v1/") ? 3 : 0;
  return path.compare(prefix, which.size(), which) == 0;
}

}  // namespace hearth::api
