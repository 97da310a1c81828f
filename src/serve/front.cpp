#include "serve/front.h"

#include "serve/origins.h"

namespace hearth::serve {
namespace {

http::Response plain(unsigned status, std::string text) {
  return {{.status = status, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}}, std::move(text)};
}

// Tells the page of another origin that it may read the answer.
class SharedExchange : public http::Exchange {
 public:
  SharedExchange(std::shared_ptr<http::Exchange> exchange, std::string origin)
      : exchange_(std::move(exchange)), origin_(std::move(origin)) {}

  void send(http::Response response) override {
    add_origin_headers(origin_, response.head.headers);
    exchange_->send(std::move(response));
  }
  void start(http::ResponseHead head, http::Ping ping) override {
    add_origin_headers(origin_, head.headers);
    exchange_->start(std::move(head), std::move(ping));
  }
  void write(std::string_view bytes) override { exchange_->write(bytes); }
  void finish() override { exchange_->finish(); }
  void abort() override { exchange_->abort(); }
  bool full() const override { return exchange_->full(); }
  void on_drained(std::function<void()> call) override { exchange_->on_drained(std::move(call)); }
  bool gone() const override { return exchange_->gone(); }
  void on_gone(std::function<void()> call) override { exchange_->on_gone(std::move(call)); }

 private:
  const std::shared_ptr<http::Exchange> exchange_;
  const std::string origin_;
};

class Front {
 public:
  Front(std::shared_ptr<const api::Router> router, Workers& workers, FrontOptions options)
      : router_(std::move(router)), workers_(workers), options_(std::move(options)) {}

  std::variant<uint64_t, http::Response> admit(const http::RequestHead& head) const {
    if (options_.only_loopback && !host_allowed(head.headers.get("Host"))) return plain(403, "");
    const std::string_view origin = foreign_origin(head);
    if (!origin.empty() && !origin_allowed(origin, options_.origins)) return plain(403, "");
    if (!origin.empty() && head.method == "OPTIONS") return preflight_response(origin);
    const api::Router::Match match = router_->find(head);
    if (match.route != nullptr) return match.route->most_body_bytes;
    http::Response response = unrouted(head, match.status);
    if (!origin.empty()) add_origin_headers(origin, response.head.headers);
    return response;
  }

  void handle(http::Request request, std::shared_ptr<http::Exchange> exchange) const {
    const api::Router::Match match = router_->find(request.head);
    if (match.route == nullptr) return exchange->send(unrouted(request.head, match.status));
    if (const std::string_view origin = foreign_origin(request.head); !origin.empty())
      exchange = std::make_shared<SharedExchange>(std::move(exchange), std::string(origin));
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

  http::Response unrouted(const http::RequestHead& head, unsigned status) const {
    if (status == 404 && head.path.size() > 1 && head.path.ends_with('/')) {
      http::RequestHead shorter = head;
      shorter.path.pop_back();
      // "//host" would lead elsewhere.
      if (!shorter.path.starts_with("//") && router_->find(shorter).route != nullptr) return redirect(shorter);
    }
    return plain(status, status == 405 ? "405 method not allowed" : "404 page not found");
  }

  static http::Response redirect(const http::RequestHead& to) {
    http::Response response = plain(to.method == "GET" ? 301 : 307, "");
    response.head.headers.add("Location", to.path + (to.query.empty() ? "" : "?" + to.query));
    return response;
  }

  const std::shared_ptr<const api::Router> router_;
  Workers& workers_;
  const FrontOptions options_;
};

}  // namespace

http::Handler make_handler(std::shared_ptr<const api::Router> router, Workers& workers, FrontOptions options) {
  const auto front = std::make_shared<const Front>(std::move(router), workers, std::move(options));
  return {.admit = [front](const http::RequestHead& head) { return front->admit(head); },
          .handle =
              [front](http::Request request, std::shared_ptr<http::Exchange> exchange) {
                front->handle(std::move(request), std::move(exchange));
              },
          .problem = [front](const http::RequestHead& head, unsigned status,
                             const std::string& message) { return front->problem(head, status, message); }};
}

}  // namespace hearth::serve
