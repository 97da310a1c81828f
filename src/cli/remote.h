// A hearth that serves already, through which commands go, so that there is one that has the models.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/client.h"
#include "http/message.h"
#include "serve/state.h"

namespace hearth::cli {

class Remote {
 public:
  // The server that OLLAMA_HOST or HEARTH_LISTEN name, else the one of this user's state folder, else one at
  // 127.0.0.1:11434; nothing if none answers there. Errors: kRefused, if what answers is no hearth.
  static Result<std::optional<Remote>> find();
  // The one at "http://HOST:PORT"; nothing is asked of it yet. Errors: kUsage.
  static Result<Remote> at(const std::string& url);
  // As find(); kNotFound if there is none, with what to do.
  static Result<Remote> require();

  // Errors: what is wrong in the server's words, by its kind of status; those of http::fetch().
  Result<std::string> ask(const std::string& method, const std::string& path, const std::string& json = {}) const;
  // The answer to a GET, whatever its status. Errors: those of http::fetch().
  Result<http::Response> look(const std::string& path) const;
  // Sends bytes as they are; a signal ends it (kCancelled). Errors: those of ask().
  Status upload(const std::string& path, std::string_view content) const;
  // The same, and gives what is answered.
  Result<std::string> send(const std::string& path, std::string_view content) const;
  // The lines of a stream as they come; the first error of `take` ends it, and so does a signal (see interrupted()),
  // with kCancelled. Gives the header's x-hearth-warnings.
  Result<std::string> stream(const std::string& path, const std::string& json,
                             const std::function<Status(std::string_view line)>& take) const;
  // The lines of what is there.
  Result<std::string> lines(const std::string& path, const std::function<Status(std::string_view line)>& take) const;
  const std::string& url() const { return server_.url; }

 private:
  Result<std::string> stream_of(http::ClientRequest request,
                                const std::function<Status(std::string_view line)>& take) const;
  explicit Remote(serve::RunningServer server) : server_(std::move(server)) {}
  http::ClientRequest request_to(const std::string& path) const;
  serve::RunningServer server_;
};

}  // namespace hearth::cli
