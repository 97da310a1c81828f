// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <string>
#include <string_view>

namespace hearth {

std::string sha256_hex(std::string_view bytes);  // 64 digits

}  // namespace hearth
