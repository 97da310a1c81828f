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

// In the words of its cause.
inline Error caused(ErrorKind kind, Cause cause) {
  std::string text = text_of(cause), remedy = remedy_of(cause);
  return Error{kind, std::move(text), std::move(remedy), std::move(cause)};
}

// Of any error: its own, else one that has its text as fact.
inline Cause cause_of(const Error& error) {
  if (!error.cause.empty()) return error.cause;
  if (error.remedy.empty()) return {"gpu-failed", {{"error", error.message}}};
  return {"gpu-failed-with-advice", {{"error", error.what()}, {"remedy", error.remedy}}};
}

}  // namespace hearth
