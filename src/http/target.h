// What a request's first line asks for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace hearth::http {

// Path and query of a target: "/api/tags?x=1", or the absolute form that proxies send ("http://host/api/tags").
std::pair<std::string, std::string> split_target(std::string_view target);

// "%2F" becomes "/". Nothing where it is malformed, or gives a zero byte.
std::optional<std::string> percent_decode(std::string_view text);

// The value of a parameter of a query, decoded; nothing if it is not there.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

// "127.0.0.1:5000", "localhost", "[::1]:80": this machine. A path may follow.
bool is_loopback_host(std::string_view host);

}  // namespace hearth::http
