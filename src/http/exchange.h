// One request's way to be answered. All functions are safe on any thread, return at once, and do nothing once the
// answer is complete or the connection is closed.
//
// Either send(), or start(), any number of write() and finish(). What is written between two turns of the connection
// goes out as one piece. If the last reference to an exchange goes before the answer is complete, the client is told
// of an internal error, or finds its stream broken off.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"

namespace hearth::http {

// Bytes that go out where a stream has been silent for so long, so that no one between gives it up. Zero: none.
struct Ping {
  std::string bytes = {};
  std::chrono::milliseconds interval{0};
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  // The whole answer.
  virtual void send(Response response) = 0;

  // The answer in pieces.
  virtual void start(ResponseHead head, Ping ping = {}) = 0;
  virtual void write(std::string_view bytes) = 0;
  virtual void finish() = 0;
  // The connection is closed so that the client sees the answer is not complete.
  virtual void abort() = 0;

  // More than Settings::unsent_bytes wait for the client to read. A writer then keeps what it has, joined, until
  // on_drained() calls; who writes on regardless only takes memory.
  virtual bool full() const = 0;
  // Calls once, on a thread of the server's, as soon as there is room (which may be now), or never if the client has
  // gone. It must not block.
  virtual void on_drained(std::function<void()> call) = 0;

  // The client has closed its side, or reads nothing: nobody wants the answer.
  virtual bool gone() const = 0;
  // Calls once, on a thread of the server's or, if the client has gone already, on this one, unless the answer is
  // complete before. It must not block.
  virtual void on_gone(std::function<void()> call) = 0;
};

}  // namespace hearth::http
