// Which function answers which request. Filled at the start, then used by many threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/service.h"
#include "http/exchange.h"
#include "http/message.h"

namespace hearth::api {

inline constexpr uint64_t kMost_json_bytes = 64 << 20;  // of a body: images come in it

struct Call {
  http::Request request;
  std::shared_ptr<http::Exchange> exchange;
  std::string rest;  // of the path, decoded, where the route ends in "*"
  Caller caller;
};

struct Route {
  std::string method;  // "GET" stands for HEAD too
  std::string path;    // "/api/tags", "/v1/models/*"
  std::function<void(Call call)> run;
  uint64_t most_body_bytes = kMost_json_bytes;
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  // The form of errors for paths that begin so; the longest prefix counts.
  using Problem = std::function<http::Response(unsigned status, const std::string& message)>;
  void add_problems(std::string prefix, Problem problem) {
    problems_.push_back({std::move(prefix), std::move(problem)});
  }

  struct Match {
    const Route* route = nullptr;
    std::string rest;
    unsigned status = 404;  // where there is no route: 404, 405, or a redirect to the path without its last slash
  };
  Match find(const http::RequestHead& head) const;
  http::Response problem(const http::RequestHead& head, unsigned status, const std::string& message) const;

 private:
  std::vector<Route> routes_;
  std::vector<std::pair<std::string, Problem>> problems_;
};

}  // namespace hearth::api
