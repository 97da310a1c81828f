// One conversion of a format text: the part of the format languages that printf, Python's % and str.format, and Go
// share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::templates {

struct FormatSpec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =, or none given
  char sign = '\0';   // + or blank, or none given
  bool alternate = false, zero = false;
  char grouping = '\0';  // , or _
  int64_t width = 0, precision = -1;
  char type = '\0';
};

inline constexpr int64_t kMaxFormatWidth = 100'000, kMaxFormatPrecision = 500;

// Digits of `value` for d, x, X, o, b, with its sign and, for '#', its prefix.
std::string format_integer(int64_t value, const FormatSpec& spec);
// For e, E, f, F, g, G, %; the shortest text where there is neither a type nor a precision.
std::string format_float(double value, const FormatSpec& spec);
// Fills up to the width; numbers stand right, with zeros behind their sign where that is asked for.
std::string pad_to_width(const std::string& text, const FormatSpec& spec, bool is_number);

}  // namespace hearth::templates
