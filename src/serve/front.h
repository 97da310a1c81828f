// Between the HTTP server and the dialects: who may ask, which route answers, and on which thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/router.h"
#include "base/current.h"
#include "http/server.h"
#include "serve/workers.h"

namespace hearth::serve {

struct FrontOptions {
  bool only_loopback = true;         // all addresses that are listened on are this machine's alone
  std::vector<std::string> origins;  // see origins.h
};

// `workers` and `options`, which may change at any time, must outlive the server; the router is kept.
http::Handler make_handler(std::shared_ptr<const api::Router> router, Workers& workers,
                           const Current<FrontOptions>& options);

}  // namespace hearth::serve
