#include "template/format_spec.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "template/printing.h"

namespace hearth::templates {
namespace {

std::string grouped(std::string digits, char separator, size_t size) {
  const size_t end = std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  for (size_t at = end; at > size; at -= size) digits.insert(at - size, 1, separator);
  return digits;
}

std::string sign_of(bool negative, char sign) {
  if (negative) return "-";
  return sign != '\0' ? std::string(1, sign) : "";
}

}  // namespace

std::string format_integer(int64_t value, const FormatSpec& spec) {
  const char type = spec.type == 'X' ? 'x' : spec.type;
  const int base = type == 'x' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  const uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  char buffer[72];
  std::string digits(buffer, std::to_chars(buffer, buffer + sizeof(buffer), magnitude, base).ptr);
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  if (spec.type == 'X') {
    for (char& c : digits) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  if (spec.grouping != '\0') digits = grouped(digits, spec.grouping, base == 10 ? 3 : 4);
  const std::string prefix = !spec.alternate || base == 10 ? "" : std::string("0") + spec.type;
  return sign_of(value < 0, spec.sign) + prefix + digits;
}

std::string format_float(double value, const FormatSpec& spec) {
  if (spec.type == '\0' && spec.precision < 0) return sign_of(false, value < 0 ? '\0' : spec.sign) + float_text(value);
  const bool percent = spec.type == '%';
  const char type = percent ? 'f' : spec.type == '\0' ? 'g' : spec.type;
  const std::string form = std::string("%") + (spec.alternate ? "#" : "") + ".*" + type;
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  char buffer[1024];
  const double magnitude = std::abs(percent ? value * 100 : value);
  const int size = std::snprintf(buffer, sizeof(buffer), form.c_str(), precision, magnitude);
  std::string text(buffer, static_cast<size_t>(std::max(size, 0)));
  if (spec.grouping != '\0') text = grouped(text, spec.grouping, 3);
  return sign_of(std::signbit(value), spec.sign) + text + (percent ? "%" : "");
}

std::string pad_to_width(const std::string& text, const FormatSpec& spec, bool is_number) {
  const auto size = static_cast<int64_t>(unicode::count(text));
  if (size >= spec.width) return text;
  const auto missing = static_cast<size_t>(spec.width - size);
  const auto fill = [&](size_t count) {
    std::string filling;
    for (size_t i = 0; i < count; ++i) filling += spec.fill;
    return filling;
  };
  const char align = spec.align != '\0' ? spec.align : is_number ? '>' : '<';
  if (align == '=') {
    size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ') ? 1 : 0;
    if (spec.alternate && text.size() > sign + 1 && text[sign] == '0' && text[sign + 1] > '9') sign += 2;
    return text.substr(0, sign) + fill(missing) + text.substr(sign);
  }
  const size_t left = align == '<' ? 0 : align == '>' ? missing : missing / 2;
  return fill(left) + text + fill(missing - left);
}

}  // namespace hearth::templates
