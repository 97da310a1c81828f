// Requests that somebody waits for, so that batch work can stay out of their way.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/service.h"

namespace hearth::serve {

// Any thread.
class People {
 public:
  // The same service; what goes through it is counted here.
  std::shared_ptr<const api::Service> watch(std::shared_ptr<const api::Service> service);
  // Called when a request comes and when one ends, until another takes its place.
  void on_change(std::function<void()> call);

  std::map<std::string, int64_t> running() const;  // by model as it was asked for
  int64_t quiet_ms() const;                        // since the last one ended; INT64_MAX: there was none

 private:
  class Stay;
  void tell();
  std::shared_ptr<Stay> enter(const std::string& model);

  mutable std::mutex mutex_;
  std::map<std::string, int64_t> running_;
  std::chrono::steady_clock::time_point last_{};
  std::mutex telling_;  // guards this:
  std::function<void()> changed_;
};

}  // namespace hearth::serve
