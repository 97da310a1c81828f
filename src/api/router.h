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
  std::string rest;  // of the path, decoded, where the route's has a "*"
  Caller caller;
};

// Each may do what those before it may.
enum class Role {
  kAnyone,  // also who has no key where one is needed: see that somebody is there
  kInfer,   // ask models
  kManage,  // change which models are there
  kAdmin,   // keys and settings
};

struct Route {
  std::string method;  // "GET" stands for HEAD too
  std::string path;    // "/api/tags", "/v1/models/*", "/v1/responses/*/cancel": at most one "*", of at least one letter
  std::function<void(Call call)> run;
  uint64_t most_body_bytes = kMost_json_bytes;
  Role role = Role::kInfer;      // that it takes
  bool also_with_slash = false;  // a "/" at the end of a request's path counts for nothing
  // May be empty: who takes the body as it arrives, or the answer without it. Called on the server's thread.
  std::function<std::variant<std::shared_ptr<http::BodySink>, http::Response>(const http::RequestHead& head,
                                                                              const std::string& rest)>
      body_sink = {};
  std::function<bool(const http::RequestHead& head)> when = {};  // only for these requests; empty: for all
};

// The message of problems with status 404 where there is no such route.
inline constexpr const char* kNo_route = "404 page not found";

// How a dialect says that a request cannot be answered, where it is known only that it is one of the dialect's.
struct Problems {
  std::function<bool(const http::RequestHead& head)> speaks;  // the request is one of the dialect's
  std::function<http::Response(const http::RequestHead& head, unsigned status, const std::string& message)> problem;
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  // What the routes of this path take from now on. There must be one.
  void set_role(std::string_view path, Role role);
  // The first that says so speaks; if none does, problems are plain texts.
  void add_problems(Problems problems) { problems_.push_back(std::move(problems)); }

  struct Match {
    const Route* route = nullptr;
    std::string rest;
    unsigned status = 404;  // where there is no route: 404 or 405
  };
  Match find(const http::RequestHead& head) const;
  http::Response problem(const http::RequestHead& head, unsigned status, const std::string& message) const;

 private:
  std::vector<Route> routes_;
  std::vector<Problems> problems_;
};

// The request's id as it stands in Anthropic's errors.
std::string short_request_id(const http::RequestHead& head);

http::Response plain_text(unsigned status, std::string text);

}  // namespace hearth::api
