// An HTTP/1.1 server: two threads that move bytes. Who answers gets whole requests, and answers on any thread.
// Protocol: RFC 9110 and 9112.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "http/exchange.h"
#include "http/message.h"
#include "http/settings.h"

namespace hearth::http {

// What a request may send, and what is told with its answer, whatever that is.
struct Admission {
  uint64_t most_body_bytes = 0;
  Headers headers = {};                      // of the answer, beside its own
  std::shared_ptr<BodySink> body_sink = {};  // takes the body as it arrives; null: the request has it
};

// Called on the server's threads; must not block.
struct Handler {
  // Before the body is read; a response is the answer without it.
  std::function<std::variant<Admission, Response>(const RequestHead& head)> admit;
  // A request that is whole.
  std::function<void(Request request, std::shared_ptr<Exchange> exchange)> handle;
  // The answer to what cannot be handled, in the form that clients of that path expect. `head` is empty where the
  // request could not be read.
  std::function<Response(const RequestHead& head, unsigned status, const std::string& message)> problem;
  // May be empty. An answer is complete, or its client has gone; status 0: nothing of it was sent.
  std::function<void(const RequestHead& head, unsigned status, std::chrono::nanoseconds took)> answered = {};
};

struct ServerStats {
  uint64_t connections = 0, answering = 0;  // now
  uint64_t accepted = 0, requests = 0;      // since the start
};

class Server {
 public:
  // Listens and answers from now on. Errors: kUsage (not an address), kBusy (the port is taken: names who has it, if
  // that can be seen), kIo.
  static Result<std::unique_ptr<Server>> start(Settings settings, Handler handler);
  // Closes all connections; whoever still answers is told that the client has gone.
  ~Server();

  // "127.0.0.1:11434", "[::1]:11434".
  std::vector<std::string> addresses() const;
  uint16_t port() const;  // of the first

  // What new connections are encrypted with, if they are.
  void set_tls(TlsContext tls);
  // Copies of the sockets that listen, open beyond this process's end; see Settings::inherited.
  std::vector<int> keep_listening() const;

  // Takes no new connection and no new request (those under way get 503), closes those that wait for none, and waits
  // until the others are answered, at most for `most`. True if all are.
  bool drain(std::chrono::milliseconds most);

  ServerStats stats() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::http
