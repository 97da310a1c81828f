// Between the HTTP server and the dialects: who may ask, which route answers, and on which thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/router.h"
#include "base/current.h"
#include "http/server.h"
#include "metrics/registry.h"
#include "serve/access.h"
#include "serve/workers.h"

namespace hearth::serve {

struct FrontOptions {
  bool only_loopback = true;         // all addresses that are listened on are this machine's alone
  std::vector<std::string> origins;  // see origins.h
  AccessRules access = {};
  std::chrono::nanoseconds deadline{0};  // of an answer; 0: none
};

// All but the router must outlive the server; the options may change at any time.
http::Handler make_handler(std::shared_ptr<const api::Router> router, Workers& workers, const Access& access,
                           const Current<FrontOptions>& options, metrics::Registry& registry);

}  // namespace hearth::serve
