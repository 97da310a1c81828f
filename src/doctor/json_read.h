// Reads JSON that others wrote: what is missing or of another type is simply not known.
#pragma once

#include <boost/json.hpp>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "doctor/files.h"

namespace hearth::doctor {

// Null where `value` is no object or has no such member.
inline const boost::json::value* member(const boost::json::value* value, std::string_view key) {
  if (value == nullptr || !value->is_object()) return nullptr;
  return value->get_object().if_contains(key);
}

inline std::string text_of(const boost::json::value* value) {
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// A number, or a text that is one; NaN and infinities are not.
inline std::optional<double> number_of(const boost::json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) {
    const auto number = to_number(std::string_view(value->get_string()));
    return number ? std::optional<double>(static_cast<double>(*number)) : std::nullopt;
  }
  if (value->is_bool()) return value->get_bool() ? 1 : 0;
  if (value->is_int64()) return static_cast<double>(value->get_int64());
  if (value->is_uint64()) return static_cast<double>(value->get_uint64());
  if (value->is_double() && std::isfinite(value->get_double())) return value->get_double();
  return std::nullopt;
}

inline std::optional<int64_t> integer_of(const boost::json::value* value) {
  const auto number = number_of(value);
  if (!number || std::fabs(*number) > 9e15) return std::nullopt;
  return static_cast<int64_t>(*number);
}

inline std::optional<uint64_t> count_of(const boost::json::value* value) {
  const auto number = integer_of(value);
  return number && *number >= 0 ? std::optional<uint64_t>(static_cast<uint64_t>(*number)) : std::nullopt;
}

inline std::optional<bool> bool_of(const boost::json::value* value) {
  return value != nullptr && value->is_bool() ? std::optional<bool>(value->get_bool()) : std::nullopt;
}

// Of an array; an object or anything else has none.
inline const boost::json::array& items_of(const boost::json::value* value) {
  static const boost::json::array none;
  return value != nullptr && value->is_array() ? value->get_array() : none;
}

inline const boost::json::object& members_of(const boost::json::value* value) {
  static const boost::json::object none;
  return value != nullptr && value->is_object() ? value->get_object() : none;
}

}  // namespace hearth::doctor
