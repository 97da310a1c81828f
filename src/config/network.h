// Networks of addresses, as people write them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::config {

// An address or "address/bits". Errors: kUsage.
Status check_network(std::string_view text);
// Whether `address` ("10.1.2.3") is one of these, each checked. An IPv4 address that is mapped to IPv6 is itself.
bool in_networks(std::string_view address, const std::vector<std::string>& networks);

// Whether an address belongs to a machine that everybody can reach: no private network, no machine or link of one's
// own, no carrier's, no group, none that is reserved (IANA's special-purpose registries, RFC 6890), and none at which
// clouds tell machines their secrets. Of an IPv4 address within an IPv6 one that is translated: false.
bool is_public(std::string_view address);

}  // namespace hearth::config
