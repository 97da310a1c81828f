// An HTTP client: libcurl's, which is opened when it is first needed, so that the program starts without it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace hearth::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://
  Headers headers = {};
  std::string body = {};
  std::string_view content = {};  // in the place of `body`, for what is large; must stay until the answer is there
  std::chrono::milliseconds connect{10'000};
  std::chrono::milliseconds silence{0};  // the transfer ends where nothing comes for so long; 0: it waits
  uint64_t most_body_bytes = 64 << 20;   // of an answer that is not taken in pieces
  std::chrono::milliseconds total{0};    // for all of it; 0: no limit
  // Asked for each redirect, of which 3 are followed, with the address that it leads to; an error ends the transfer.
  // Not set: a redirect is the answer.
  std::function<Status(const std::string& url)> follows = {};
  // Asked before each connection with the address that it goes to, "127.0.0.1" or "::1": what a name was resolved to.
  // Where it says false none is made (kRefused if there was no other). With it there is no proxy between, which would
  // resolve names itself, and no connection from before is used.
  std::function<bool(const std::string& address)> may_connect = {};
  // File of the peer's own certificate (PEM), which is trusted alone, whatever name it carries; empty: the authorities.
  std::string own_certificate = {};
  // Asked now and then, also while nothing comes: where it says true, the transfer ends (kCancelled).
  std::function<bool()> ends = {};
  // Gets the head of the answer before the first piece of its body; where it says false, the transfer ends
  // (kCancelled).
  std::function<bool(const ResponseHead& head)> head = {};
};

// Sends it and waits for the answer; a connection that is still open from before on this thread is used again. Proxies
// and certificates are those of curl's command: http_proxy, https_proxy, no_proxy, CURL_CA_BUNDLE, SSL_CERT_FILE and
// SSL_CERT_DIR; but none is between for this machine itself. With `take`, that gets the pieces of the body of an answer
// 2xx as they come, and the response's body is empty; where it says false, the transfer ends (kCancelled). Errors:
// kNotFound: nobody listens there; kTimeout; kIo with the cause; kUnsupported: libcurl is not on this machine.
Result<Response> fetch(const ClientRequest& request, const std::function<bool(std::string_view piece)>& take = {});

}  // namespace hearth::http
