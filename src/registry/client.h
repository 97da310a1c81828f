// Asks a registry: chooses http or https, signs in when it is asked to, and follows redirects without handing what
// signs in to other hosts. Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"
#include "registry/credentials.h"

namespace hearth::registry {

struct ClientOptions {
  bool insecure = false;                        // http where https cannot be had; for this machine it is taken anyway
  std::optional<Credentials> credentials = {};  // else docker's for the host
  std::string bearer = {};                      // a token for the host, sent from the start
  std::chrono::milliseconds silence{30'000};    // a transfer in which nothing comes for so long is ended
};

// Any thread; several may ask at once.
class Client {
 public:
  // `host`: "registry.ollama.ai", "localhost:5000"; with "https://" or "http://" before it that is taken.
  Client(std::string host, ClientOptions options);

  struct Ask {
    std::string method = "GET", path;  // the path, or a whole URL
    http::Headers headers = {};
    std::string_view content = {};
    uint64_t most_body_bytes = 16 << 20;
    bool follows = true;  // redirects
    std::function<bool()> goes_on = {};
    std::function<bool(const http::ResponseHead&)> head = {};
    std::function<bool(std::string_view)> take = {};
  };
  // Whatever the status is. Errors: kRefused: it wants somebody else, or somebody; those of http::fetch().
  struct Answer {
    http::Response response;
    std::string url;  // that has answered
  };
  Result<Answer> ask(const Ask& ask);

  const std::string& host() const { return host_; }

 private:
  Result<std::string> origin();
  Result<http::Response> send(const Ask& ask, const std::string& url, const std::string& authorization);
  Result<std::string> sign_in(const std::string& challenge, const std::function<bool()>& goes_on);
  Result<std::string> get_token(const struct Challenge& challenge, const std::optional<Credentials>& who,
                                const std::function<bool()>& goes_on);
  Result<std::string> get_token_by_key(const struct Challenge& challenge, const std::function<bool()>& goes_on);
  Result<std::optional<Credentials>> credentials();

  std::string host_, scheme_;
  const ClientOptions options_;
  std::mutex mutex_;
  std::string authorization_;  // for the host itself
};

// What an error body says: {"errors":[{"message"}]}, {"error": "..."}, else that it is a web page, or its beginning.
std::string message_of(const http::Response& response);

}  // namespace hearth::registry
