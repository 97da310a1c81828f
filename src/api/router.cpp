#include "api/router.h"

#include "http/target.h"

namespace hearth::api {
namespace {

bool serves(const Route& route, const std::string& method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

}  // namespace

Router::Match Router::find(const http::RequestHead& head) const {
  Match match;
  for (const Route& route : routes_) {
    std::string rest;
    if (route.path.ends_with('*')) {
      const std::string_view prefix = std::string_view(route.path).substr(0, route.path.size() - 1);
      if (!head.path.starts_with(prefix) || head.path.size() == prefix.size()) continue;
      const auto decoded = http::percent_decode(std::string_view(head.path).substr(prefix.size()));
      if (!decoded) continue;
      rest = *decoded;
    } else if (head.path != route.path) {
      continue;
    }
    if (serves(route, head.method)) return {.route = &route, .rest = rest};
    match.status = 405;
  }
  return match;
}

http::Response Router::problem(const http::RequestHead& head, unsigned status, const std::string& message) const {
  const std::pair<std::string, Problem>* best = nullptr;
  for (const auto& candidate : problems_) {
    if (!head.path.starts_with(candidate.first)) continue;
    if (best == nullptr || candidate.first.size() > best->first.size()) best = &candidate;
  }
  if (best != nullptr) return best->second(status, message);
  return {{.status = status, .headers = {{"Content-Type", "text/plain"}}}, message};
}

}  // namespace hearth::api
