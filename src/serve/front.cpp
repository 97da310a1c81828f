#include "serve/front.h"

#include "base/duration.h"
#include "base/log.h"
#include "base/outside_text.h"
#include "http/content_encoding.h"
#include "serve/origins.h"

namespace hearth::serve {
namespace {

class Front {
 public:
  Front(std::shared_ptr<const api::Router> router, Workers& workers, const Access& access,
        const Current<FrontOptions>& options, metrics::Registry& registry)
      : router_(std::move(router)), workers_(workers), access_(access), options_(options), registry_(registry) {}

  std::variant<http::Admission, http::Response> admit(const http::RequestHead& head) const {
    const auto options = options_.get();
    if (options->only_loopback && !host_allowed(head.headers.get("Host"))) return api::plain_text(403, "");
    const std::string_view origin = foreign_origin(head);
    if (!origin.empty() && !origin_allowed(origin, options->origins)) return api::plain_text(403, "");
    if (!origin.empty() && head.method == "OPTIONS") return preflight_response(origin);
    http::Headers told = ids(head);
    if (!origin.empty()) add_origin_headers(origin, told);
    const api::Router::Match match = router_->find(head);
    std::optional<http::Response> refusal;
    if (match.route == nullptr)
      refusal = unrouted(head, match.status);
    else if (const auto client = access_.identify(head, options->access); !client)
      refusal = refuse(head, 401, client.error().message);
    else if (client->role < match.route->role)
      refusal = refuse_role(head, *client, match.route->role);
    http::Admission admission{.most_body_bytes = match.route == nullptr ? 0 : match.route->most_body_bytes};
    if (!refusal && match.route->body_sink) {
      auto sink = match.route->body_sink(head, match.rest);
      if (auto* answer = std::get_if<http::Response>(&sink))
        refusal = std::move(*answer);
      else
        admission.body_sink = std::get<0>(std::move(sink));
    }
    if (!refusal) {
      admission.headers = std::move(told);
      return admission;
    }
    http::Response response = std::move(*refusal);
    for (const http::Header& header : told) response.head.headers.add(header.name, header.value);
    return response;
  }

  void handle(http::Request request, std::shared_ptr<http::Exchange> exchange) const {
    const api::Router::Match match = router_->find(request.head);
    if (match.route == nullptr) return exchange->send(unrouted(request.head, match.status));
    const http::RequestHead head = request.head;
    const auto client = access_.identify(head, options_.get()->access);
    if (!client || client->role < match.route->role) return exchange->send(refuse(head, 401, "the key was revoked"));
    api::Caller caller{.user = client->user, .address = client->address, .deadline = deadline()};
    if (client->key) {
      caller.key = client->key->info.name;
      caller.key_in_use = client->key;
      const bool counts = match.route->role == Role::kInfer && head.method == "POST";
      std::chrono::seconds retry_after{0};
      if (counts) {
        auto hold = client->key->begin(Key::Clock::now(), &retry_after);
        if (!hold) return exchange->send(come_again(head, 429, hold.error().message, retry_after));
        caller.hold = std::move(hold).value();
      }
    }
    const std::string user = caller.user;
    const auto call = std::make_shared<api::Call>(api::Call{
        .request = std::move(request), .exchange = exchange, .rest = match.rest, .caller = std::move(caller)});
    // The task lets go of the exchange when it has run, so that one that nobody answers is told.
    const auto task = [call, route = match.route, router = router_] {
      if (const auto refusal = decode_body(*call, *router)) return call->exchange->send(*refusal);
      route->run(std::move(*call));
    };
    if (!workers_.post(user, task))
      exchange->send(come_again(head, 503, "server busy, please try again", std::chrono::seconds(1)));
  }

  http::Response problem(const http::RequestHead& head, unsigned status, const std::string& message) const {
    return router_->problem(head, status, message);
  }

  // A line as Ollama's log has it, without the query, in which secrets may be.
  void answered(const http::RequestHead& head, unsigned status, std::chrono::nanoseconds took) const {
    const unsigned shown = status == 0 ? kClient_has_gone : status;
    const api::Router::Match match = router_->find(head);
    const std::string path = match.route != nullptr ? match.route->path : "other";
    registry_
        .counter("hearth_http_requests_total", "Requests by route and status.",
                 {{"path", path}, {"status", std::to_string(shown)}})
        .add();
    log_info("[GIN] {} | {} | {} | {} \"{}\"", shown, format_duration(took), head.remote_address,
             printable(head.method), printable(head.path));
  }

 private:
  // What comes compressed is decompressed, but for files, which somebody has taken as they are.
  static std::optional<http::Response> decode_body(api::Call& call, const api::Router& router) {
    const http::RequestHead& head = call.request.head;
    if (call.request.body.sink()) return std::nullopt;
    auto body = http::decode(std::move(call.request.body), head.headers.get("Content-Encoding"));
    if (body) {
      call.request.body = std::move(body).value();
      return std::nullopt;
    }
    const ErrorKind kind = body.error().kind;
    const unsigned status = kind == ErrorKind::kUnsupported ? 415 : kind == ErrorKind::kTooLong ? 413 : 400;
    return router.problem(head, status, body.error().message);
  }

  std::optional<std::chrono::steady_clock::time_point> deadline() const {
    const std::chrono::nanoseconds most = options_.get()->deadline;
    if (most.count() <= 0) return std::nullopt;
    return std::chrono::steady_clock::now() + most;
  }

  static constexpr unsigned kClient_has_gone = 499;  // as nginx and Ollama have it

  // Of a page of somebody else's; empty otherwise.
  static std::string_view foreign_origin(const http::RequestHead& head) {
    const std::string_view origin = head.headers.get("Origin");
    return same_origin(origin, head.headers.get("Host")) ? std::string_view() : origin;
  }

  // Under the names that OpenAI's and Anthropic's clients look for.
  static http::Headers ids(const http::RequestHead& head) {
    return {{"x-request-id", "req_" + head.id}, {"request-id", api::short_request_id(head)}};
  }

  http::Response refuse(const http::RequestHead& head, unsigned status, const std::string& message) const {
    http::Response response = router_->problem(head, status, message);
    if (status == 401) response.head.headers.add("WWW-Authenticate", "Bearer");
    return response;
  }
  http::Response refuse_role(const http::RequestHead& head, const Client& client, Role needed) const {
    if (!client.key && client.role == Role::kAnyone) {
      return refuse(
          head, 401,
          "a key is needed from other machines: Authorization: Bearer KEY; \"hearth key add NAME\" makes one");
    }
    return refuse(head, 403,
                  fmt::format("this takes the role {}, and {} has the role {}", role_text(needed),
                              client.key ? "the key" : "a client without a key", role_text(client.role)));
  }
  http::Response come_again(const http::RequestHead& head, unsigned status, const std::string& message,
                            std::chrono::seconds after) const {
    http::Response response = router_->problem(head, status, message);
    response.head.headers.add("Retry-After", std::to_string(after.count()));
    return response;
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
  const Access& access_;
  const Current<FrontOptions>& options_;
  metrics::Registry& registry_;
};

}  // namespace

http::Handler make_handler(std::shared_ptr<const api::Router> router, Workers& workers, const Access& access,
                           const Current<FrontOptions>& options, metrics::Registry& registry) {
  const auto front = std::make_shared<const Front>(std::move(router), workers, access, options, registry);
  return {.admit = [front](const http::RequestHead& head) { return front->admit(head); },
          .handle =
              [front](http::Request request, std::shared_ptr<http::Exchange> exchange) {
                front->handle(std::move(request), std::move(exchange));
              },
          .problem = [front](const http::RequestHead& head, unsigned status,
                             const std::string& message) { return front->problem(head, status, message); },
          .answered = [front](const http::RequestHead& head, unsigned status,
                              std::chrono::nanoseconds took) { front->answered(head, status, took); }};
}

}  // namespace hearth::serve
