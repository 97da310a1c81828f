#include "config/network.h"

#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/outside_text.h"

namespace hearth::config {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::address> parse_address(std::string_view text) {
  boost::system::error_code failed;
  const ip::address address = ip::make_address(std::string(text), failed);
  if (failed) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

std::string bytes_of(const ip::address& address) {
  const auto copy = [](const auto& bytes) { return std::string(bytes.begin(), bytes.end()); };
  return address.is_v4() ? copy(address.to_v4().to_bytes()) : copy(address.to_v6().to_bytes());
}

struct Network {
  std::string address;  // its bytes
  unsigned bits = 0;
};

std::optional<Network> parse_network(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  Network network{bytes_of(*address)};
  const auto most = static_cast<unsigned>(network.address.size() * 8);
  network.bits = most;
  if (slash == std::string_view::npos) return network;
  const std::string_view bits = text.substr(slash + 1);
  const auto [end, code] = std::from_chars(bits.data(), bits.data() + bits.size(), network.bits);
  if (code != std::errc() || end != bits.data() + bits.size() || network.bits > most) return std::nullopt;
  return network;
}

bool has(const Network& network, const std::string& address) {
  if (network.address.size() != address.size()) return false;
  const size_t whole = network.bits / 8, rest = network.bits % 8;
  if (std::memcmp(network.address.data(), address.data(), whole) != 0) return false;
  const int mask = 0xff00 >> rest & 0xff;
  return rest == 0 || ((network.address[whole] ^ address[whole]) & mask) == 0;
}

}  // namespace

Status check_network(std::string_view text) {
  if (parse_network(text)) return {};
  return error(ErrorKind::kUsage, "\"{}\" is no address and no network; write one such as 10.0.0.5 or 10.0.0.0/8",
               printable(text));
}

bool in_networks(std::string_view address, const std::vector<std::string>& networks) {
  const auto parsed = parse_address(address);
  if (!parsed) return false;
  const std::string bytes = bytes_of(*parsed);
  for (const std::string& text : networks) {
    const auto network = parse_network(text);
    if (network && has(*network, bytes)) return true;
  }
  return false;
}

bool is_public(std::string_view address) {
  static const std::vector<std::string> kNot_public{
      "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
      "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
      "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
      "168.63.129.16",  // Azure's host
      "2001::/23",     "2001:db8::/32",   "2002::/16",      "3fff::/20"};
  static const std::vector<std::string> kGlobal{"0.0.0.0/0", "2000::/3"};
  return in_networks(address, kGlobal) && !in_networks(address, kNot_public);
}

}  // namespace hearth::config
