#include "serve/page.h"

#include <algorithm>
#include <boost/beast/zlib/inflate_stream.hpp>
#include <cstring>

#include "base/check.h"
#include "base/load.h"

namespace hearth::serve {
namespace {

// Nothing of other servers, and nothing that a text of a model's could run.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool takes_html(const http::RequestHead& head) {
  return head.headers.get("Accept").find("text/html") != std::string_view::npos;
}

// "gzip;q=0" is a refusal.
bool takes_gzip(const http::RequestHead& head) {
  std::string_view accepted = head.headers.get("Accept-Encoding");
  while (!accepted.empty()) {
    std::string_view one = accepted.substr(0, accepted.find(','));
    accepted.remove_prefix(std::min(one.size() + 1, accepted.size()));
    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
    if (one.starts_with("gzip")) return one.find("q=0") == std::string_view::npos || one.find("q=0.") != one.npos;
  }
  return false;
}

void send(const PageFile& file, const api::Call& call) {
  const http::RequestHead& request = call.request.head;
  const bool document = file.path == "/index.html";
  http::Response response{{.status = 200,
                           .headers = {{"Content-Type", std::string(file.type)},
                                       {"ETag", std::string(file.etag)},
                                       {"Vary", document ? "Accept, Accept-Encoding" : "Accept-Encoding"},
                                       {"Content-Security-Policy", kPolicy},
                                       {"X-Content-Type-Options", "nosniff"},
                                       {"Referrer-Policy", "no-referrer"},
                                       // The names of all but the document change with their content.
                                       {"Cache-Control", document ? "no-cache" : "max-age=31536000, immutable"}}},
                          {}};
  if (request.headers.get("If-None-Match").find(file.etag) != std::string_view::npos) {
    response.head.status = 304;
  } else if (takes_gzip(request)) {
    response.head.headers.add("Content-Encoding", "gzip");
    response.body = std::string(file.gzipped);
  } else {
    response.body = content_of(file);
  }
  call.exchange->send(std::move(response));
}

}  // namespace

// A header of ten bytes, as CMake writes it, then the compressed data; the last four bytes tell the length.
std::string content_of(const PageFile& file) {
  namespace zlib = boost::beast::zlib;
  constexpr size_t kHeader = 10, kTrailer = 8;
  const std::string_view packed = file.gzipped;
  CHECK(packed.size() > kHeader + kTrailer && packed[3] == 0);
  std::string content(load<uint32_t>(packed.data() + packed.size() - 4), '\0');
  zlib::z_params stream;
  stream.next_in = packed.data() + kHeader;
  stream.avail_in = packed.size() - kHeader - kTrailer;
  stream.next_out = content.data();
  stream.avail_out = content.size();
  boost::system::error_code code;
  zlib::inflate_stream inflate;
  inflate.write(stream, zlib::Flush::finish, code);
  CHECK(code == zlib::error::end_of_stream && stream.avail_out == 0);  // the build has made it
  return content;
}

void add_page_routes(api::Router& router) {
  for (const PageFile& file : page_files()) {
    api::Route route{.method = "GET",
                     .path = std::string(file.path),
                     .run = [&file](const api::Call& call) { send(file, call); },
                     .role = api::Role::kAnyone};
    router.add(route);
    if (file.path != "/index.html") continue;
    route.path = "/";
    route.when = takes_html;
    router.add(std::move(route));
  }
}

}  // namespace hearth::serve
