// The page that browsers get: the files of web/ as they were built, embedded in this program.
#pragma once

#include <span>
#include <string_view>

#include "api/router.h"

namespace hearth::serve {

struct PageFile {
  std::string_view path;     // "/index.html", "/assets/index-Bk3d.js"
  std::string_view type;     // its Content-Type
  std::string_view etag;     // of its content, in quotes
  std::string_view gzipped;  // the content as gzip (RFC 1952)
};
std::span<const PageFile> page_files();
// What `gzipped` holds.
std::string content_of(const PageFile& file);

// GET / for those who take HTML, and the page's other files. To be added before the dialects' routes: their / is
// everybody else's.
void add_page_routes(api::Router& router);

}  // namespace hearth::serve
