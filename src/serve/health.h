// How a server is: what it answers to those who watch it, with the reason wherever something is not as it should be.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "api/router.h"
#include "fleet/fleet.h"

namespace hearth::serve {

// What keeps the server from being as it should be; docs/operations.md has every id.
struct Finding {
  std::string id;             // "state-unavailable"
  std::string cause, remedy;  // the remedy may be empty
  bool unready = false;       // no request should be sent here now
  std::string cause_id = {};  // of base/cause.h, where the cause is one of those
};

// Any thread.
class Health {
 public:
  explicit Health(const fleet::Fleet& models) : models_(models) {}

  void set(Finding finding);  // in the place of one of the same id; logged if it is new or another
  void clear(const std::string& id);
  // With those of the models that are loaded.
  std::vector<Finding> findings() const;

 private:
  const fleet::Fleet& models_;
  mutable std::mutex mutex_;
  std::map<std::string, Finding> findings_;
};

// GET /health: 200, or 503 where it is not ready, with all reasons; /health/live: 200 as long as it answers at all;
// /health/ready: 200 or 503.
void add_health_routes(api::Router& router, const Health& health);

}  // namespace hearth::serve
