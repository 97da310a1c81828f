// One request after another out of the bytes of a connection, parsed by Boost.Beast as they come.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <string>

#include "http/body.h"
#include "http/framing.h"
#include "http/message.h"
#include "http/settings.h"

namespace hearth::http {

class RequestReader {
 public:
  explicit RequestReader(const Settings& settings);
  ~RequestReader();

  // The next request begins with what is left of the bytes.
  void expect();

  // Where more bytes go, and how many have come. A read may be under way while other bytes are parsed.
  boost::asio::mutable_buffer space() { return boost::asio::buffer(chunk_); }
  void commit(size_t bytes);  // throws std::bad_alloc
  size_t waiting_bytes() const { return buffer_.size(); }
  void drop_waiting() { buffer_.consume(buffer_.size()); }

  // Parses on. After kHead the body must be admitted.
  enum class Progress { kMore, kHead, kRequest, kRefused };
  Progress advance();
  struct Refusal {
    unsigned status = 0;
    std::string message = {};
  };
  const Refusal& refusal() const { return refusal_; }  // after kRefused
  // The status for a body that cannot be kept or taken.
  static unsigned status_of(const Error& why);

  // What is known with the head, and until the next request.
  bool has_head() const;
  void read_head(RequestHead& head) const;  // all but what belongs to the connection
  AskedFraming framing() const;

  // `sink`: takes the body in place of body(); may be null. False, with refusal(): it says itself that it is larger.
  bool admit_body(uint64_t most_bytes, std::shared_ptr<BodySink> sink);
  bool has_body() const;
  Body& body();
  // Of the body, since the last call.
  size_t take_body_progress() { return std::exchange(body_progress_, 0); }

 private:
  struct Parser;

  Progress refuse(unsigned status, std::string message);
  Progress refuse_size();
  Progress refuse(const boost::system::error_code& error);

  const Settings& settings_;
  boost::beast::flat_buffer buffer_;  // what was read and is not parsed yet
  std::array<char, 8 << 10> chunk_;
  std::unique_ptr<Parser> parser_;
  bool head_told_ = false;
  size_t body_progress_ = 0;
  Refusal refusal_;
};

}  // namespace hearth::http
