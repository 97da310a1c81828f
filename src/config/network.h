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

}  // namespace hearth::config
