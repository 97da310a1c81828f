#include "api/router.h"

#include "http/target.h"

namespace hearth::api {
namespace {

bool serves(const Route& route, const std::string& method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

// What the "*" stands for, as it was sent; nothing if the path is another.
std::optional<std::string_view> rest_of(const Route& route, std::string_view path) {
  const std::string_view pattern = route.path;
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) {
    return path == pattern ? std::optional<std::string_view>("") : std::nullopt;
  }
  const std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) return {};
  return path.substr(before.size(), path.size() - before.size() - after.size());
}

}  // namespace

void Router::set_role(std::string_view path, Role role) {
  size_t found = 0;
  for (Route& route : routes_) {
    if (route.path != path) continue;
    route.role = role;
    ++found;
  }
  CHECK(found > 0);
}

Router::Match Router::find(const http::RequestHead& head) const {
  Match match;
  size_t best = 0;  // more of the pattern fits: "/v1/responses/*/cancel" rather than "/v1/responses/*"
  for (const Route& route : routes_) {
    std::string_view path = head.path;
    if (route.also_with_slash && path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const auto rest = rest_of(route, path);
    if (!rest || (route.when && !route.when(head))) continue;
    const auto decoded = http::percent_decode(*rest);
    if (!decoded) continue;
    if (!serves(route, head.method)) {
      if (match.route == nullptr) match.status = 405;
    } else if (route.path.size() > best) {
      best = route.path.size();
      match = {.route = &route, .rest = *decoded};
    }
  }
  return match;
}

http::Response Router::problem(const http::RequestHead& head, unsigned status, const std::string& message) const {
  for (const Problems& problems : problems_)
    if (problems.speaks(head)) return problems.problem(head, status, message);
  return plain_text(status, message);
}

std::string short_request_id(const http::RequestHead& head) {
  return "req_" + head.id.substr(0, 24);
}

http::Response plain_text(unsigned status, std::string text) {
  return {{.status = status, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}}, std::move(text)};
}

}  // namespace hearth::api
