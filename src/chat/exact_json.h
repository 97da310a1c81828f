// JSON in Boost's values, whose integers have 64 bits, without losing the digits of larger ones: they are kept as texts
// that no JSON writer makes by chance, and written as numbers again.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::chat {

// The same JSON with integers beyond 64 bits as such texts; nothing if it has none, or is no JSON that far.
std::optional<std::string> mark_large_integers(std::string_view json);

boost::json::value parse_exact(std::string_view json, boost::system::error_code& failed);
std::string serialize_exact(const boost::json::value& value);

}  // namespace hearth::chat
