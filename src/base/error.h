// error(kind, format, ...): builds an Error with a formatted message.
#pragma once

#include <fmt/format.h>

#include "base/result.h"

namespace hearth {

template <class... Args>
Error error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return Error{kind, fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace hearth
