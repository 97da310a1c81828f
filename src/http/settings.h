// Limits and times of a server. The defaults are for people's machines, where clients are few and trusted with long
// requests, but where one that hangs must not cost anything.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "http/tls.h"

namespace hearth::http {

// A host is an address in figures, "localhost" (127.0.0.1 and ::1) or "*" (all of both families). Port 0: any.
struct Address {
  std::string host = "localhost";
  uint16_t port = 11434;
};

struct Settings {
  std::vector<Address> listen = {Address()};
  TlsContext tls = nullptr;         // null: connections are not encrypted
  std::vector<int> inherited = {};  // sockets that listen already, in place of `listen`; they are the server's now
  int threads = 2;

  size_t connections = 4096;  // more wait in the system's queue
  size_t header_bytes = 32 << 10;
  size_t memory_body_bytes = 1 << 20;  // of a request's body; what is longer goes to a file
  std::string body_folder = "/var/tmp";
  size_t pipelined_bytes = 64 << 10;  // of further requests, taken while one is answered
  size_t unsent_bytes = 16 << 10;     // see Exchange::full()

  std::chrono::milliseconds idle{120'000};          // between two requests of a connection
  std::chrono::milliseconds header{20'000};         // from a request's first byte to the end of its header
  std::chrono::milliseconds body_progress{30'000};  // in which body_progress_bytes of the body must come
  size_t body_progress_bytes = 1024;
  std::chrono::milliseconds write_progress{60'000};  // in which a client must read something
  std::chrono::milliseconds linger{2'000};  // for a client to read an answer before it has sent all of its request
};

}  // namespace hearth::http
