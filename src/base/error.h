// Builds errors.
#pragma once

#include <fmt/format.h>

#include "base/result.h"

namespace hearth {

// With a formatted message.
template <class... Args>
Error error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return Error{kind, fmt::format(format, std::forward<Args>(args)...)};
}

// "<cause>; <remedy>", of which a status can show each.
inline Error with_remedy(ErrorKind kind, const std::string& cause, std::string remedy) {
  return Error{kind, fmt::format("{}; {}", cause, remedy), std::move(remedy)};
}

}  // namespace hearth
