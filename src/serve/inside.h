// Requests that the server makes to itself, without a connection: batch work asks the same routes as everybody, and
// gets the same answers.
#pragma once

#include <functional>
#include <string>

#include "api/router.h"

namespace hearth::serve {

struct InsideReply {
  unsigned status = 0;  // 0: nobody answered
  std::string body;
};

// Runs the route of `method` and `path` with a body of JSON on the calling thread; `done` once, on any thread, maybe
// before this returns. What comes back ends the request.
std::function<void()> ask_inside(const api::Router& router, const std::string& method, const std::string& path,
                                 std::string body, api::Caller caller, std::function<void(InsideReply)> done);

}  // namespace hearth::serve
