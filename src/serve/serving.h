// The whole server: models behind the dialects behind HTTP.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/load.h"

namespace hearth::serve {

class Serving {
 public:
  // Listens and answers from now on; `inherited`: see http::Settings. Without `works_queue` batch jobs can be looked at,
  // and rest. Errors: those of http::Server::start(), with what
  // to do where the port is taken.
  static Result<std::unique_ptr<Serving>> start(config::Loaded loaded, std::vector<int> inherited = {},
                                                bool works_queue = true);
  // Ends what still runs.
  ~Serving();

  std::vector<std::string> addresses() const;
  enum class Condition {
    kWell,
    kLost,  // a device is lost, and only a new process can have it again
  };
  // To be called every second or so: sees what has changed.
  Condition look();
  // See http::Server::keep_listening().
  std::vector<int> keep_listening() const;
  // Settings that were read again; says what has changed and what cannot without a new start.
  std::vector<std::string> reload(const config::Loaded& loaded);

  std::chrono::milliseconds drain_time() const;  // as the settings have it
  // Takes no new request, and lets those that run end, at most for so long. True if all have.
  bool drain(std::chrono::milliseconds most);

 private:
  struct Parts;
  explicit Serving(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace hearth::serve
