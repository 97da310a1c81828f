#include "http/server.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <thread>

#include "base/log.h"
#include "http/connection.h"
#include "http/listen.h"

namespace hearth::http {
namespace {

namespace net = boost::asio;
using tcp = net::ip::tcp;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAccept_pause{50}, kWarn_interval{10'000}, kDrain_poll{5};

// Takes connections on one address. Lives as long as its operations.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(std::shared_ptr<Shared> shared, tcp::acceptor acceptor)
      : shared_(std::move(shared)), acceptor_(std::move(acceptor)), pause_(shared_->io) {}

  tcp::endpoint endpoint() const { return endpoint_; }
  int handle() { return acceptor_.native_handle(); }  // of one that is not closed

  void accept() {
    acceptor_.async_accept(net::make_strand(shared_->io),
                           [self = shared_from_this()](const Code& error, tcp::socket socket) {
                             if (error == net::error::operation_aborted || self->closed_) return;
                             if (error) return self->on_failure(error);
                             ++self->shared_->accepted;
                             Connection::start(self->shared_, std::move(socket));
                             self->accept_if_room();
                           });
  }

  void close() {
    net::post(acceptor_.get_executor(), [self = shared_from_this()] {
      self->closed_ = true;
      Code ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
    });
  }

 private:
  void accept_if_room() {
    size_t open;
    {
      const std::lock_guard lock(shared_->mutex);
      open = shared_->connections.size();
    }
    if (open < shared_->settings.connections) return accept();
    make_room(fmt::format("there are {} connections, which is the limit", open));
  }

  void on_failure(const Code& error) { make_room(fmt::format("cannot take a connection: {}", error.message())); }

  // Connections that wait for nothing but the next request make room for those that have one.
  void make_room(const std::string& why) {
    const auto now = Clock::now();
    if (now - warned_ >= kWarn_interval) {
      warned_ = now;
      log_warn("{}; those that are idle are closed", why);
    }
    for (const auto& connection : shared_->all()) connection->shed();
    pause_.expires_after(kAccept_pause);
    pause_.async_wait([self = shared_from_this()](const Code& error) {
      if (!error && !self->closed_) self->accept_if_room();
    });
  }

  const std::shared_ptr<Shared> shared_;
  tcp::acceptor acceptor_;
  const tcp::endpoint endpoint_ = acceptor_.local_endpoint();
  net::steady_timer pause_;
  std::atomic<bool> closed_{false};
  Clock::time_point warned_{};
};

void run(net::io_context& io) {
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& fault) {
      log_error("an error in the server: {}", fault.what());
    }
  }
}

}  // namespace

struct Server::Impl {
  std::shared_ptr<Shared> shared;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::vector<std::thread> threads;
  std::optional<net::executor_work_guard<net::io_context::executor_type>> work;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Server>> Server::start(Settings settings, Handler handler) {
  auto impl = std::make_unique<Impl>();
  impl->shared = std::make_shared<Shared>(std::move(settings), std::move(handler));
  Shared& shared = *impl->shared;
  ASSIGN_OR_RETURN(std::vector<tcp::acceptor> acceptors, listen(shared.io, shared.settings));
  impl->work.emplace(shared.io.get_executor());
  for (tcp::acceptor& acceptor : acceptors) {
    impl->listeners.push_back(std::make_shared<Listener>(impl->shared, std::move(acceptor)));
    impl->listeners.back()->accept();
  }
  for (int i = 0; i < shared.settings.threads; ++i) impl->threads.emplace_back([&shared] { run(shared.io); });
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() {
  impl_->shared->draining = true;
  for (const auto& listener : impl_->listeners) listener->close();
  // A connection may have been taken while the others were closed.
  for (std::vector<std::shared_ptr<Connection>> open; !(open = impl_->shared->all()).empty();) {
    for (const auto& connection : open) connection->close_now();
    open.clear();
    std::this_thread::sleep_for(kDrain_poll);
  }
  impl_->work.reset();
  for (std::thread& thread : impl_->threads) thread.join();
}

std::vector<std::string> Server::addresses() const {
  std::vector<std::string> list;
  for (const auto& listener : impl_->listeners) {
    const tcp::endpoint endpoint = listener->endpoint();
    list.push_back(fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"),
                               endpoint.address().to_string(), endpoint.port()));
  }
  return list;
}

uint16_t Server::port() const {
  return impl_->listeners.front()->endpoint().port();
}

void Server::set_tls(TlsContext tls) {
  impl_->shared->set_tls(std::move(tls));
}

std::vector<int> Server::keep_listening() const {
  std::vector<int> copies;
  for (const auto& listener : impl_->listeners) {
    constexpr int kBeyond_the_usual = 100;
    const int copy = ::fcntl(listener->handle(), F_DUPFD, kBeyond_the_usual);
    if (copy >= 0) copies.push_back(copy);
  }
  return copies;
}

bool Server::drain(std::chrono::milliseconds most) {
  const auto end = Clock::now() + most;
  impl_->shared->draining = true;
  for (const auto& listener : impl_->listeners) listener->close();
  for (;;) {
    // Again and again: one may have come to rest since.
    const auto open = impl_->shared->all();
    for (const auto& connection : open) connection->drain();
    if (open.empty() || Clock::now() >= end) return impl_->shared->answering == 0;
    std::this_thread::sleep_for(kDrain_poll);
  }
}

ServerStats Server::stats() const {
  Shared& shared = *impl_->shared;
  const std::lock_guard lock(shared.mutex);
  return {.connections = shared.connections.size(),
          .answering = shared.answering,
          .accepted = shared.accepted,
          .requests = shared.requests};
}

}  // namespace hearth::http
