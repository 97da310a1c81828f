// The requests that are being answered, for those who watch them, and may end one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/router.h"
#include "api/service.h"
#include "metrics/figures.h"

namespace hearth::serve {

// Any thread.
class Requests {
 public:
  // The same service, whose answers are here while they are given.
  std::shared_ptr<const api::Service> watch(std::shared_ptr<const api::Service> service);

  std::vector<metrics::RequestFigures> list() const;  // the oldest first
  // Errors: kNotFound, if it has ended or never was.
  Status cancel(const std::string& id);

 private:
  class Entry;
  mutable std::mutex mutex_;
  std::map<uint64_t, std::weak_ptr<Entry>> entries_;  // by number, which rises
  uint64_t last_ = 0;
};

// GET /hearth/requests, DELETE /hearth/requests/ID: for administrators, who see everybody's.
void add_request_routes(api::Router& router, Requests& requests);

}  // namespace hearth::serve
