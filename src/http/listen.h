// The sockets that a server listens on.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <vector>

#include "base/result.h"
#include "http/settings.h"

namespace hearth::http {

// One per address; for "localhost" and "*" those of the families that this machine has, on the same port. Errors: see
// Server::start().
Result<std::vector<boost::asio::ip::tcp::acceptor>> listen(boost::asio::io_context& io, const Settings& settings);

}  // namespace hearth::http
