// Requests and responses of HTTP as they travel between the server and who answers: text, nothing of sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/body.h"

namespace hearth::http {

struct Header {
  std::string name, value;
};

class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> list) : list_(list) {}

  // The first of this name, whatever its case; null if there is none.
  const std::string* find(std::string_view name) const;
  std::string_view get(std::string_view name) const;  // empty if there is none
  void add(std::string name, std::string value) { list_.push_back({std::move(name), std::move(value)}); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

 private:
  std::vector<Header> list_;
};

struct RequestHead {
  std::string id;           // 32 random hexadecimal digits; empty where the request could not be read
  std::string method;       // "GET"
  std::string path, query;  // of the target as it was sent, without the question mark; see percent_decode()
  Headers headers;
  std::optional<uint64_t> content_length;
  std::string remote_address;    // "127.0.0.1"
  bool remote_loopback = false;  // the client is on this machine
  bool local_loopback = false;   // it is the loopback address that it has connected to
};

struct Request {
  RequestHead head;
  Body body;
};

// Content-Length, Transfer-Encoding, Connection and Date are the server's to write.
struct ResponseHead {
  unsigned status = 200;
  Headers headers = {};
  std::optional<uint64_t> content_length = {};  // of an answer in pieces whose length is known: exactly so much follows
};

struct Response {
  ResponseHead head;
  std::string body;
};

std::string_view reason_phrase(unsigned status);

// The header section of a response, up to the empty line; line breaks in values, which would begin another header, are
// blanks. `framing`: further lines, each with its end.
std::string head_text(const ResponseHead& head, std::string_view framing);

}  // namespace hearth::http
