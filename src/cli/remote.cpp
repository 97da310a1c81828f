#include "cli/remote.h"

#include <boost/json.hpp>

#include "base/error.h"
#include "base/outside_text.h"
#include "cli/signals.h"
#include "config/load.h"
#include "config/table.h"
#include "http/client.h"
#include "serve/state.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kSilence{5'000};  // of a server that only says who or how it is

std::string url_of(const http::Address& address, bool tls) {
  const bool any =
      address.host == "*" || address.host == "0.0.0.0" || address.host == "::" || address.host == "localhost";
  const http::Address own{any ? "127.0.0.1" : address.host, address.port};
  return (tls ? "https://" : "http://") + config::host_text(own);
}

Result<serve::RunningServer> named_server() {
  const auto environment = config::environment();
  const auto value = [&](const char* name) {
    const auto at = environment.find(name);
    return at == environment.end() ? std::string() : at->second;
  };
  serve::RunningServer server{.url = {}, .key = value("HEARTH_API_KEY"), .certificate = {}};
  const std::string listen = value("HEARTH_LISTEN"), host = listen.empty() ? value("OLLAMA_HOST") : listen;
  const auto local = serve::find_server(value("HEARTH_STATE"));
  if (host.empty() && local) {
    server.url = local->url;
  } else {
    ASSIGN_OR_RETURN(const config::Host parsed, config::parse_host(host.substr(0, host.find(','))));
    server.url = url_of(parsed.address, parsed.tls);
  }
  if (!local || local->url != server.url) return server;
  if (server.key.empty()) server.key = local->key;
  server.certificate = local->certificate;
  return server;
}

// "error": "..." or {"message": "..."} of a body; else the body's beginning.
std::string message_of(const std::string& body) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  const json::value* fault = object != nullptr ? object->if_contains("error") : nullptr;
  if (fault != nullptr && fault->is_string()) return std::string(fault->get_string());
  if (fault != nullptr && fault->is_object()) {
    const json::value* text = fault->get_object().if_contains("message");
    if (text != nullptr && text->is_string()) return std::string(text->get_string());
  }
  constexpr size_t kMost = 200;
  return printable(body.substr(0, kMost));
}

Error refusal(const http::Response& response) {
  const unsigned status = response.head.status;
  const std::string text = message_of(response.body);
  const ErrorKind kind = status == 404                    ? ErrorKind::kNotFound
                         : status == 400                  ? ErrorKind::kUsage
                         : status == 401 || status == 403 ? ErrorKind::kRefused
                         : status == 503 || status == 429 ? ErrorKind::kBusy
                         : status == 507                  ? ErrorKind::kNoSpace
                                                          : ErrorKind::kIo;
  return Error{kind, text.empty() ? fmt::format("the server answers {}", status) : text};
}

bool identifies_hearth(const http::Response& response) {
  boost::system::error_code failed;
  const json::value value = json::parse(response.body, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  const json::value* server = object != nullptr ? object->if_contains("server") : nullptr;
  return server != nullptr && server->is_string() && server->get_string() == "hearth";
}

}  // namespace

Result<std::optional<Remote>> Remote::find() {
  ASSIGN_OR_RETURN(serve::RunningServer server, named_server());
  Remote remote(std::move(server));
  http::ClientRequest request = remote.request_to("/api/version");
  request.connect = std::chrono::milliseconds(1'000);
  request.silence = kSilence;
  const auto response = http::fetch(request);
  if (!response && response.error().kind == ErrorKind::kNotFound) return std::optional<Remote>();
  if (!response) return response.error();
  if (!identifies_hearth(*response)) {
    return error(ErrorKind::kRefused, "what answers at {} is no hearth; name another with OLLAMA_HOST, or stop it",
                 remote.url());
  }
  return std::optional<Remote>(std::move(remote));
}

Result<Remote> Remote::at(const std::string& url) {
  ASSIGN_OR_RETURN(const config::Host host, config::parse_host(url));
  const auto environment = config::environment();
  const auto key = environment.find("HEARTH_API_KEY");
  return Remote({url_of(host.address, host.tls), key == environment.end() ? std::string() : key->second, {}});
}

Result<Remote> Remote::require() {
  ASSIGN_OR_RETURN(std::optional<Remote> found, find());
  if (found) return *std::move(found);
  return error(ErrorKind::kNotFound, "no hearth serves here; start one: hearth serve");
}

http::ClientRequest Remote::request_to(const std::string& path) const {
  http::ClientRequest request{.url = server_.url + path, .own_certificate = server_.certificate};
  request.headers.add("Content-Type", "application/json");
  if (!server_.key.empty()) request.headers.add("Authorization", "Bearer " + server_.key);
  return request;
}

Result<std::string> Remote::ask(const std::string& method, const std::string& path, const std::string& body) const {
  http::ClientRequest request = request_to(path);
  request.method = method;
  request.body = body;
  ASSIGN_OR_RETURN(http::Response response, http::fetch(request));
  if (response.head.status >= 300) return refusal(response);
  return std::move(response.body);
}

Result<http::Response> Remote::look(const std::string& path) const {
  http::ClientRequest request = request_to(path);
  request.silence = kSilence;
  return http::fetch(request);
}

Status Remote::upload(const std::string& path, std::string_view content) const {
  const auto answer = send(path, content);
  return answer ? Status() : Status(answer.error());
}

Result<std::string> Remote::send(const std::string& path, std::string_view content) const {
  http::ClientRequest request = request_to(path);
  request.method = "POST";
  request.content = content;
  request.ends = interrupted;
  auto response = http::fetch(request);
  if (interrupted()) return Error{ErrorKind::kCancelled, {}};
  if (!response) return response.error();
  if (response->head.status >= 300) return refusal(*response);
  return std::move(response->body);
}

Result<std::string> Remote::lines(const std::string& path,
                                  const std::function<Status(std::string_view line)>& take) const {
  return stream_of(request_to(path), take);
}

Result<std::string> Remote::stream(const std::string& path, const std::string& body,
                                   const std::function<Status(std::string_view line)>& take) const {
  http::ClientRequest request = request_to(path);
  request.method = "POST";
  request.body = body;
  return stream_of(std::move(request), take);
}

Result<std::string> Remote::stream_of(http::ClientRequest request,
                                      const std::function<Status(std::string_view line)>& take) const {
  request.ends = interrupted;
  Status taken;
  std::string rest;
  const auto pieces = [&](std::string_view piece) {
    rest += piece;
    size_t begin = 0;
    for (size_t end; taken && (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1)
      taken = take(std::string_view(rest).substr(begin, end - begin));
    rest.erase(0, begin);
    return taken.ok();
  };
  const auto response = http::fetch(request, pieces);
  if (interrupted()) return Error{ErrorKind::kCancelled, {}};
  if (!taken) return taken.error();
  if (!response) return response.error();
  if (response->head.status >= 300) return refusal(*response);
  if (!rest.empty()) TRY(take(rest));
  return std::string(response->head.headers.get("x-hearth-warnings"));
}

}  // namespace hearth::cli
