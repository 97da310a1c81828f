#include "registry/client.h"

#include <boost/json.hpp>
#include <ctime>

#include "base/error.h"
#include "base/log.h"
#include "base/outside_text.h"
#include "http/client.h"
#include "http/target.h"
#include "registry/challenge.h"
#include "registry/signing_key.h"

namespace hearth::registry {
namespace {

namespace json = boost::json;

constexpr int kMost_redirects = 10;

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string text_of(const json::value& value, std::string_view name) {
  const json::object* object = value.if_object();
  const json::value* member = object != nullptr ? object->if_contains(name) : nullptr;
  return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
}

std::string token_in(const std::string& body) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  std::string token = failed ? "" : text_of(value, "token");
  return token.empty() && !failed ? text_of(value, "access_token") : token;
}

}  // namespace

std::string message_of(const http::Response& response) {
  const std::string_view type = response.head.headers.get("Content-Type");
  if (type.starts_with("text/html")) return "it answers with a web page (a login page, or a proxy's?)";
  boost::system::error_code failed;
  const json::value value = json::parse(response.body, failed);
  if (!failed) {
    if (const std::string text = text_of(value, "error"); !text.empty()) return printable(text);
    const json::object* object = value.if_object();
    const json::value* errors = object != nullptr ? object->if_contains("errors") : nullptr;
    const json::array* list = errors != nullptr ? errors->if_array() : nullptr;
    if (list != nullptr && !list->empty())
      if (const std::string text = text_of(list->front(), "message"); !text.empty()) return printable(text);
  }
  constexpr size_t kMost = 200;
  return printable(response.body.substr(0, kMost));
}

Client::Client(std::string host, ClientOptions options) : host_(std::move(host)), options_(std::move(options)) {
  if (const size_t scheme = host_.find("://"); scheme != std::string::npos) {
    scheme_ = host_.substr(0, scheme);
    host_.erase(0, scheme + 3);
  } else if (http::is_loopback_host(host_)) {
    scheme_ = "http";
  }
  if (!options_.bearer.empty()) authorization_ = "Bearer " + options_.bearer;
}

// Which of http and https the host speaks is found out once.
Result<std::string> Client::origin() {
  {
    const std::lock_guard lock(mutex_);
    if (!scheme_.empty()) return scheme_ + "://" + host_;
    if (!options_.insecure) return "https://" + host_;
  }
  http::ClientRequest request{.method = "GET", .url = "https://" + host_ + "/v2/"};
  request.silence = options_.silence;
  const bool secure = http::fetch(request).ok();
  const std::lock_guard lock(mutex_);
  scheme_ = secure ? "https" : "http";
  return scheme_ + "://" + host_;
}

Result<http::Response> Client::send(const Ask& ask, const std::string& url, const std::string& authorization) {
  http::ClientRequest request{.method = ask.method, .url = url, .headers = ask.headers};
  request.content = ask.content;
  request.most_body_bytes = ask.most_body_bytes;
  request.silence = options_.silence;
  if (ask.goes_on) request.ends = [&ask] { return !ask.goes_on(); };
  request.head = ask.head;
  if (!authorization.empty()) request.headers.add("Authorization", authorization);
  return http::fetch(request, ask.take);
}

Result<Client::Answer> Client::ask(const Ask& ask) {
  ASSIGN_OR_RETURN(const std::string home, origin());
  std::string url = ask.path.starts_with('/') ? home + ask.path : ask.path;
  bool signed_in = false;
  for (int redirects = 0;;) {
    ASSIGN_OR_RETURN(const Url where, parse_url(url));
    const bool own = where.origin() == home;  // elsewhere nobody learns who one is
    std::string authorization;
    if (own) {
      const std::lock_guard lock(mutex_);
      authorization = authorization_;
    }
    ASSIGN_OR_RETURN(http::Response response, send(ask, url, authorization));
    const unsigned status = response.head.status;
    if (status == 401 && own && !signed_in) {
      signed_in = true;
      const std::string challenge(response.head.headers.get("WWW-Authenticate"));
      if (challenge.empty()) return Answer{std::move(response), url};
      ASSIGN_OR_RETURN(std::string fresh, sign_in(challenge, ask.goes_on));
      const std::lock_guard lock(mutex_);
      authorization_ = std::move(fresh);
      continue;
    }
    if (!ask.follows || !is_redirect(status)) return Answer{std::move(response), url};
    if (++redirects > kMost_redirects)
      return error(ErrorKind::kIo, "{} leads from one place to the next without end", home);
    ASSIGN_OR_RETURN(url, resolve_url(url, response.head.headers.get("Location")));
  }
}

Result<std::optional<Credentials>> Client::credentials() {
  if (options_.credentials) return options_.credentials;
  return find_credentials(host_);
}

Result<std::string> Client::sign_in(const std::string& header, const std::function<bool()>& goes_on) {
  const auto challenge = parse_challenge(header);
  if (!challenge)
    return error(ErrorKind::kRefused, "{} wants to know who asks, and {}", host_, challenge.error().message);
  ASSIGN_OR_RETURN(const std::optional<Credentials> who, credentials());
  if (challenge->bearer && !challenge->realm.empty()) return get_token(*challenge, who, goes_on);
  // Another hearth takes its keys so.
  if (who && challenge->bearer) return "Bearer " + who->password;
  if (who) return "Basic " + base64(who->user + ":" + who->password);
  if (!options_.bearer.empty())
    return error(ErrorKind::kRefused,
                 "{} does not take the key that was given; give another (HEARTH_PEER_KEYS, HF_TOKEN)", host_);
  return with_remedy(ErrorKind::kRefused, fmt::format("{} wants to know who asks, and no user is known for it", host_),
                     fmt::format("docker login {} (or write the user to ~/.docker/config.json)", host_));
}

Result<std::string> Client::get_token(const Challenge& challenge, const std::optional<Credentials>& who,
                                      const std::function<bool()>& goes_on) {
  ASSIGN_OR_RETURN(const std::string home, origin());
  ASSIGN_OR_RETURN(const Url realm, parse_url(challenge.realm));
  const bool open = realm.scheme == "http" && !http::is_loopback_host(realm.host) &&
                    !(options_.insecure && home.starts_with("http:"));
  if (who && open)
    return error(ErrorKind::kRefused, "{} wants the password sent to {} unencrypted; it was not", host_,
                 realm.origin());
  // Ollama's registry knows people by their keys, and so do those that are made like it.
  if (!who && realm.host == host_) {
    ASSIGN_OR_RETURN(const std::string signed_in, get_token_by_key(challenge, goes_on));
    if (!signed_in.empty()) return signed_in;
  }
  std::string url = challenge.realm + (challenge.realm.find('?') == std::string::npos ? "?" : "&");
  url += "service=" + percent_encoded(challenge.service);
  for (const std::string& scope : challenge.scopes) url += "&scope=" + percent_encoded(scope);
  if (who) url += "&account=" + percent_encoded(who->user);
  Ask ask{.path = url};
  ask.goes_on = goes_on;
  ASSIGN_OR_RETURN(const http::Response response,
                   send(ask, url, who ? "Basic " + base64(who->user + ":" + who->password) : ""));
  if (response.head.status != 200) {
    const std::string cause = fmt::format("{} gives no token for {}{}: {}", realm.host, host_,
                                          who ? fmt::format(" to {}", who->user) : "", message_of(response));
    return with_remedy(ErrorKind::kRefused, cause, fmt::format("docker login {}", host_));
  }
  const std::string token = token_in(response.body);
  if (token.empty()) return error(ErrorKind::kInvalidData, "{} answers with no token", realm.host);
  return "Bearer " + token;
}

// Empty where there is no key, or the host does not take it: others take nobody's.
Result<std::string> Client::get_token_by_key(const Challenge& challenge, const std::function<bool()>& goes_on) {
  const auto key = find_signing_key();
  if (!key) log_warn("{}", key.error().message);
  if (!key || !*key) return std::string();
  const SignedAsk signed_by_key = signed_ask(**key, challenge, std::time(nullptr), new_nonce());
  Ask ask{.path = signed_by_key.url};
  ask.goes_on = goes_on;
  ASSIGN_OR_RETURN(const http::Response response, send(ask, signed_by_key.url, signed_by_key.authorization));
  const std::string token = response.head.status == 200 ? token_in(response.body) : "";
  return token.empty() ? token : "Bearer " + token;
}

}  // namespace hearth::registry
