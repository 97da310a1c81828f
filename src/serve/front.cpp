#include "serve/front.h"

#include "serve/origins.h"

namespace hearth::serve {
namespace {

class Front {
 public:
  Front(std::shared_ptr<const api::Router> router, Workers& workers, const Current<FrontOptions>& options)
      : router_(std::move(router)), workers_(workers), options_(options) {}

  std::variant<http::Admission, http::Response> admit(const http::RequestHead& head) const {
    const auto options = options_.get();
    if (options->only_loopback && !host_allowed(head.headers.get("Host"))) return api::plain_text(403, "");
    const std::string_view origin = foreign_origin(head);
    if (!origin.empty() && !origin_allowed(origin, options->origins)) return api::plain_text(403, "");
    if (!origin.empty() && head.method == "OPTIONS") return preflight_response(origin);
    http::Headers told = ids(head);
    if (!origin.empty()) add_origin_headers(origin, told);
    const api::Router::Match match = router_->find(head);
    if (match.route != nullptr) return http::Admission{match.route->most_body_bytes, std::move(told)};
    http::Response response = unrouted(head, match.status);
    for (const http::Header& header : told) response.head.headers.add(header.name, header.value);
    return response;
  }

  void handle(http::Request request, std::shared_ptr<http::Exchange> exchange) const {
    const api::Router::Match match = router_->find(request.head);
    if (match.route == nullptr) return exchange->send(unrouted(request.head, match.status));
    const std::string user = request.head.remote_address;
    const http::RequestHead head = request.head;
    const auto call = std::make_shared<api::Call>(
        api::Call{.request = std::move(request), .exchange = exchange, .rest = match.rest, .caller = {user, user}});
    // The task lets go of the exchange when it has run, so that one that nobody answers is told.
    const auto task = [call, route = match.route] { route->run(std::move(*call)); };
    if (!workers_.post(user, task)) exchange->send(problem(head, 503, "server busy, please try again"));
  }

  http::Response problem(const http::RequestHead& head, unsigned status, const std::string& message) const {
    return router_->problem(head, status, message);
  }

 private:
  // Of a page of somebody else's; empty otherwise.
  static std::string_view foreign_origin(const http::RequestHead& head) {
    const std::string_view origin = head.headers.get("Origin");
    return same_origin(origin, head.headers.get("Host")) ? std::string_view() : origin;
  }

  // Under the names that OpenAI's and Anthropic's clients look for.
  static http::Headers ids(const http::RequestHead& head) {
    return {{"x-request-id", "req_" + head.id}, {"request-id", api::short_request_id(head)}};
  }

  http::Response unrouted(const http::RequestHead& head, unsigned status) const {
    if (status == 404 && head.path.size() > 1 && head.path.ends_with('/')) {
      http::RequestHead shorter = head;
      shorter.path.pop_back();
      // "//host" would lead elsewhere.
      if (!shorter.path.starts_with("//") && router_->find(shorter).route != nullptr) return redirect(shorter);
    }
    return router_->problem(head, status, status == 405 ? "405 method not allowed" : api::kNo_route);
  }

  static http::Response redirect(const http::RequestHead& to) {
    http::Response response = api::plain_text(to.method == "GET" ? 301 : 307, "");
    response.head.headers.add("Location", to.path + (to.query.empty() ? "" : "?" + to.query));
    return response;
  }

  const std::shared_ptr<const api::Router> router_;
  Workers& workers_;
  const Current<FrontOptions>& options_;
};

}  // namespace

http::Handler make_handler(std::shared_ptr<const api::Router> router, Workers& workers,
                           const Current<FrontOptions>& options) {
  const auto front = std::make_shared<const Front>(std::move(router), workers, options);
  return {.admit = [front](const http::RequestHead& head) { return front->admit(head); },
          .handle =
              [front](http::Request request, std::shared_ptr<http::Exchange> exchange) {
                front->handle(std::move(request), std::move(exchange));
              },
          .problem = [front](const http::RequestHead& head, unsigned status,
                             const std::string& message) { return front->problem(head, status, message); }};
}

}  // namespace hearth::serve
