// The bytes of one connection, encrypted or not.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <utility>

#include "http/tls.h"

namespace hearth::http {

// All on the strand of the socket. One read and one write may be under way at a time.
class Transport {
 public:
  using tcp = boost::asio::ip::tcp;
  // `tls` may be null: not encrypted.
  Transport(tcp::socket socket, TlsContext tls) : socket_(std::move(socket)), context_(std::move(tls)) {
    boost::system::error_code ignored;
    socket_.non_blocking(true, ignored);
    if (context_) tls_.emplace(socket_, *context_);
  }

  tcp::socket& socket() { return socket_; }
  auto executor() { return socket_.get_executor(); }
  bool encrypted() const { return tls_.has_value(); }

  // Calls done(error).
  template <class Done>
  void handshake(Done done) {
    tls_->async_handshake(boost::asio::ssl::stream_base::server, std::move(done));
  }
  // Call done(error, bytes).
  template <class Done>
  void read_some(boost::asio::mutable_buffer to, Done done) {
    tls_ ? tls_->async_read_some(to, std::move(done)) : socket_.async_read_some(to, std::move(done));
  }
  template <class Done>
  void write_some(boost::asio::const_buffer from, Done done) {
    tls_ ? tls_->async_write_some(from, std::move(done)) : socket_.async_write_some(from, std::move(done));
  }
  // What the system takes without waiting, with error::would_block where that is not all. Encrypted bytes always wait
  // for a turn of the loop.
  size_t write_now(boost::asio::const_buffer from, boost::system::error_code& error) {
    if (!tls_) return socket_.write_some(from, error);
    error = boost::asio::error::would_block;
    return 0;
  }
  // Says that nothing more is written. done() is called where the connection can be closed then; without encryption
  // that is when the client has closed its side.
  template <class Done>
  void end_writing(Done done) {
    boost::system::error_code ignored;
    if (tls_)
      tls_->async_shutdown([done](const boost::system::error_code&) { done(); });
    else
      socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
  const TlsContext context_;  // outlives the stream
  std::optional<boost::asio::ssl::stream<tcp::socket&>> tls_;
};

}  // namespace hearth::http
