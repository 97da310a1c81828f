#include "http/listen.h"

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

}  // namespace

Result<std::vector<tcp::acceptor>> listen(net::io_context& io, const std::vector<Address>& addresses) {
  std::vector<tcp::acceptor> acceptors;
  for (const Address& address : addresses) TRY(listen_on_all(io, address, &acceptors));
  if (acceptors.empty()) return error(ErrorKind::kUsage, "there is no address to listen on");
  return acceptors;
}

}  // namespace hearth::http
