// The whole server: models behind the dialects behind HTTP.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "serve/settings.h"

namespace hearth::serve {

class Serving {
 public:
  // Listens and answers from now on. Errors: those of http::Server::start(), with what to do where the port is taken.
  static Result<std::unique_ptr<Serving>> start(const Settings& settings);
  // Ends what still runs.
  ~Serving();

  std::vector<std::string> addresses() const;
  // Takes no new request, and lets those that run end, at most for so long. True if all have.
  bool drain(std::chrono::milliseconds most);

 private:
  struct Parts;
  explicit Serving(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// A line for each GPU that can be used, in the words that people look for; or one that says why there is none.
void log_inference_compute(fleet::GpuPolicy policy);

}  // namespace hearth::serve
