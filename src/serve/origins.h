// Which web pages may talk to a server, and by which names it may be called: so that a page that a user looks at cannot
// use the models of his machine unasked (cross-origin requests: https://fetch.spec.whatwg.org/#http-cors-protocol; DNS
// rebinding).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace hearth::serve {

// Whether pages of `origin` may: those of this machine, of desktop programs, and those in `more`, each checked by
// config::check_origin_entry().
bool origin_allowed(std::string_view origin, std::span<const std::string> more);
// The origin is the server itself, as the request's Host says.
bool same_origin(std::string_view origin, std::string_view host);

// Whether a server on a loopback address answers to this value of Host: only names and addresses that cannot be
// somebody else's.
bool host_allowed(std::string_view host);

// The answer to a preflight, and what answers to other requests of an origin that may have them carry.
http::Response preflight_response(std::string_view origin);
void add_origin_headers(std::string_view origin, http::Headers& headers);

}  // namespace hearth::serve
