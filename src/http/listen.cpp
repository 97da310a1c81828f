#include "http/listen.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/ip/v6_only.hpp>

#include "base/error.h"
#include "http/port_holder.h"

namespace hearth::http {
namespace {

namespace net = boost::asio;
using tcp = net::ip::tcp;
using Code = boost::system::error_code;

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

Error listen_error(const tcp::endpoint& endpoint, const Code& code) {
  if (code != net::error::address_in_use) {
    return error(ErrorKind::kIo, "cannot listen on {}: {}", text_of(endpoint), code.message());
  }
  const std::string holder = port_holder(endpoint.port());
  return error(ErrorKind::kBusy, "cannot listen on {}: {} has the port", text_of(endpoint),
               holder.empty() ? "somebody" : holder);
}

Result<tcp::acceptor> listen_on(net::io_context& io, const tcp::endpoint& endpoint, Code* code) {
  tcp::acceptor acceptor(io);
  acceptor.open(endpoint.protocol(), *code);
  if (!*code) acceptor.set_option(net::socket_base::reuse_address(true), *code);
  if (!*code && endpoint.address().is_v6()) acceptor.set_option(net::ip::v6_only(true), *code);
  if (!*code) acceptor.bind(endpoint, *code);
  if (!*code) acceptor.listen(net::socket_base::max_listen_connections, *code);
  if (*code) return listen_error(endpoint, *code);
  return acceptor;
}

std::vector<std::string> hosts_of(const std::string& host) {
  if (host == "localhost") return {"127.0.0.1", "::1"};
  if (host == "*") return {"0.0.0.0", "::"};
  return {host};
}

bool family_is_absent(const Code& code) {
  return code == net::error::address_family_not_supported || code == boost::system::errc::address_not_available;
}

Status listen_on_all(net::io_context& io, const Address& address, std::vector<tcp::acceptor>* acceptors) {
  const std::vector<std::string> hosts = hosts_of(address.host);
  uint16_t port = address.port;
  size_t open = 0;
  for (size_t i = 0; i < hosts.size(); ++i) {
    Code code;
    const net::ip::address parsed = net::ip::make_address(hosts[i], code);
    if (code) {
      return error(ErrorKind::kUsage,
                   "\"{}\" is no address to listen on; write it in figures, or \"localhost\", or \"*\"", hosts[i]);
    }
    Result<tcp::acceptor> acceptor = listen_on(io, {parsed, port}, &code);
    const bool last = i + 1 == hosts.size();
    if (!acceptor && family_is_absent(code) && (!last || open > 0)) continue;
    if (!acceptor) return std::move(acceptor).error();
    ++open;
    port = acceptor->local_endpoint().port();
    acceptors->push_back(std::move(acceptor).value());
  }
  return {};
}

Result<tcp::acceptor> adopt(net::io_context& io, int handle) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  int listens = 0;
  socklen_t listens_length = sizeof listens;
  const bool good = ::getsockname(handle, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
                    (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
                    ::getsockopt(handle, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_length) == 0 && listens != 0;
  if (!good) return error(ErrorKind::kUsage, "the file {} that was handed over is no socket that listens", handle);
  ::fcntl(handle, F_SETFD, FD_CLOEXEC);
  tcp::acceptor acceptor(io);
  Code code;
  acceptor.assign(address.ss_family == AF_INET ? tcp::v4() : tcp::v6(), handle, code);
  if (code) return error(ErrorKind::kIo, "cannot take over the socket {}: {}", handle, code.message());
  return acceptor;
}

}  // namespace

Result<std::vector<tcp::acceptor>> listen(net::io_context& io, const Settings& settings) {
  std::vector<tcp::acceptor> acceptors;
  for (const int handle : settings.inherited) {
    ASSIGN_OR_RETURN(tcp::acceptor acceptor, adopt(io, handle));
    acceptors.push_back(std::move(acceptor));
  }
  if (!acceptors.empty()) return acceptors;
  for (const Address& address : settings.listen) TRY(listen_on_all(io, address, &acceptors));
  if (acceptors.empty()) return error(ErrorKind::kUsage, "there is no address to listen on");
  return acceptors;
}

}  // namespace hearth::http
