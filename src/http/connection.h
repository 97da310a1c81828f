// One client's connection: reads requests, one after another, and sends their answers. All on a strand of its own.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "http/server.h"

namespace hearth::http {

class Connection;

// What all connections of a server share.
struct Shared {
  Shared(Settings its_settings, Handler its_handler)
      : settings(std::move(its_settings)), handler(std::move(its_handler)), tls_(settings.tls) {}

  const Settings settings;
  const Handler handler;
  boost::asio::io_context io;
  std::atomic<bool> draining{false};
  std::atomic<uint64_t> accepted{0}, requests{0}, answering{0};

  std::mutex mutex;
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> connections;

  std::vector<std::shared_ptr<Connection>> all();

  // Of connections from now on.
  void set_tls(TlsContext tls) {
    const std::lock_guard lock(mutex);
    tls_ = std::move(tls);
  }
  TlsContext tls() {
    const std::lock_guard lock(mutex);
    return tls_;
  }

 private:
  TlsContext tls_;
};

class Connection {
 public:
  virtual ~Connection() = default;

  // Any thread, like all of these.
  virtual void drain() = 0;  // see Server::drain()
  virtual void shed() = 0;   // closes if it waits for another request
  virtual void close_now() = 0;

  // Of a socket that was accepted on a strand.
  static void start(std::shared_ptr<Shared> shared, boost::asio::ip::tcp::socket socket);
};

}  // namespace hearth::http
