#include <charconv>
#include <cmath>

#include "api/ollama/decode.h"
#include "base/error.h"

namespace hearth::api::ollama {
namespace {

constexpr Nanoseconds kForEver{-1};
constexpr double kMost_seconds = 9e9;  // what nanoseconds in 64 bits have room for

// https://pkg.go.dev/time#ParseDuration
double unit_seconds(std::string_view unit) {
  if (unit == "ns") return 1e-9;
  if (unit == "us" || unit == "\u00b5s" || unit == "\u03bcs") return 1e-6;
  if (unit == "ms") return 1e-3;
  if (unit == "s") return 1;
  if (unit == "m") return 60;
  if (unit == "h") return 3600;
  return 0;
}

std::optional<double> duration_seconds(std::string_view text) {
  double sum = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (fault != std::errc() || text.front() == '-') return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const size_t next = std::min(text.find_first_of("0123456789."), text.size());
    const double unit = unit_seconds(text.substr(0, next));
    if (unit == 0) return std::nullopt;
    sum += value * unit;
    text.remove_prefix(next);
  }
  return sum;
}

Nanoseconds from_seconds(double seconds) {
  if (seconds < 0 || seconds > kMost_seconds) return kForEver;
  return Nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

}  // namespace

Result<Nanoseconds> decode_keep_alive(const boost::json::value& value) {
  if (value.is_number()) return from_seconds(value.to_number<double>());
  if (!value.is_string()) return wrong_type("keep_alive", "a number of seconds or a duration such as \"5m\"", value);
  std::string_view text(value.get_string().data(), value.get_string().size());
  const std::string whole(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return Nanoseconds(0);
  const std::optional<double> seconds = duration_seconds(text);
  if (!seconds) {
    return error(ErrorKind::kUsage,
                 "keep_alive \"{}\" is no duration; write a number of seconds, or a number with a unit (ns, us, ms, s, "
                 "m, h), such as \"5m\"",
                 whole);
  }
  return from_seconds(negative ? -*seconds : *seconds);
}

}  // namespace hearth::api::ollama
