#include "serve/origins.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <cctype>

#include "base/text.h"
#include "config/origin.h"

namespace hearth::serve {
namespace {

constexpr std::string_view kPrograms[] = {"app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"};
constexpr std::string_view kLocal_names[] = {"localhost", "127.0.0.1", "0.0.0.0"};

// Without its port, and an IPv6 address without its brackets.
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  const size_t colon = host.find(':');
  return colon == host.rfind(':') ? host.substr(0, colon) : host;
}

bool is_local_origin(std::string_view origin) {
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return false;
  if (origin.substr(0, scheme) != "http" && origin.substr(0, scheme) != "https") return false;
  const std::string_view host = origin.substr(scheme + 3);
  const std::string_view name = host.substr(0, host.find(':'));
  const std::string_view port = host.substr(std::min(name.size() + 1, host.size()));
  const bool digits = std::ranges::all_of(port, [](unsigned char c) { return std::isdigit(c) != 0; });
  return digits && std::ranges::find(kLocal_names, name) != std::end(kLocal_names);
}

bool is_own_address(std::string_view name) {
  boost::system::error_code code;
  const auto address = boost::asio::ip::make_address(std::string(name), code);
  if (code) return false;
  if (address.is_loopback() || address.is_unspecified()) return true;
  if (address.is_v6()) {
    const auto bytes = address.to_v6().to_bytes();
    return (bytes[0] & 0xfe) == 0xfc;  // RFC 4193
  }
  const auto b = address.to_v4().to_bytes();  // RFC 1918
  return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168);
}

std::string machine_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

}  // namespace

bool origin_allowed(std::string_view origin, std::span<const std::string> more) {
  const auto begins = [&](std::string_view scheme) { return origin.starts_with(scheme); };
  if (is_local_origin(origin) || std::ranges::any_of(kPrograms, begins)) return true;
  return std::ranges::any_of(more, [&](const std::string& pattern) { return config::is_meant(pattern, origin); });
}

bool same_origin(std::string_view origin, std::string_view host) {
  return !host.empty() && (origin == "http://" + std::string(host) || origin == "https://" + std::string(host));
}

bool host_allowed(std::string_view host) {
  const std::string_view name = host_name(host);
  if (name.empty() || same_ignoring_case(name, "localhost") || same_ignoring_case(name, machine_name())) return true;
  for (const std::string_view domain : {".localhost", ".local", ".internal"}) {
    if (name.size() > domain.size() && same_ignoring_case(name.substr(name.size() - domain.size()), domain))
      return true;
  }
  return is_own_address(name);
}

void add_origin_headers(std::string_view origin, http::Headers& headers) {
  headers.add("Access-Control-Allow-Origin", std::string(origin));
  headers.add("Vary", "Origin");
}

http::Response preflight_response(std::string_view origin) {
  http::Response response;
  response.head.status = 204;
  add_origin_headers(origin, response.head.headers);
  response.head.headers.add("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS");
  response.head.headers.add(
      "Access-Control-Allow-Headers",
      "Authorization, Content-Type, User-Agent, Accept, X-Requested-With, OpenAI-Beta, x-api-key, anthropic-version, "
      "anthropic-beta, anthropic-dangerous-direct-browser-access, x-stainless-arch, x-stainless-async, "
      "x-stainless-custom-poll-interval, x-stainless-helper-method, x-stainless-lang, x-stainless-os, "
      "x-stainless-package-version, x-stainless-poll-helper, x-stainless-retry-count, x-stainless-runtime, "
      "x-stainless-runtime-version, x-stainless-timeout");
  response.head.headers.add("Access-Control-Max-Age", "43200");
  return response;
}

}  // namespace hearth::serve
