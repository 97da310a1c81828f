// Texts as people write and read them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hearth {

// Whether they differ at most in the case of ASCII letters, whatever the locale.
bool same_ignoring_case(std::string_view a, std::string_view b);

// Of `names` the one that somebody who wrote `name` has most likely meant; empty if none is near.
std::string_view nearest(std::string_view name, std::span<const std::string_view> names);

// Binary units, as memory is sold and reported: "0", "128 B", "12 KiB", "856 MiB", "4.37 GiB", "80.0 GiB".
std::string size_text(uint64_t bytes);

}  // namespace hearth
