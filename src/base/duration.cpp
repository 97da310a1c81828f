#include "base/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hearth {
namespace {

// value / unit with as many decimals as are not zero.
std::string decimal(int64_t value, int64_t unit) {
  std::string text = fmt::format("{}.{:0{}}", value / unit, value % unit, fmt::formatted_size("{}", unit) - 1);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

double unit_seconds(std::string_view unit) {
  if (unit == "ns") return 1e-9;
  if (unit == "us" || unit == "\u00b5s" || unit == "\u03bcs") return 1e-6;
  if (unit == "ms") return 1e-3;
  if (unit == "s") return 1;
  if (unit == "m") return 60;
  if (unit == "h") return 3600;
  return 0;
}

std::optional<double> sum_of_parts(std::string_view text) {
  double sum = 0;
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

}  // namespace

std::chrono::nanoseconds from_seconds(double seconds) {
  constexpr double kMost_seconds = 9e9;  // what nanoseconds in 64 bits have room for
  if (seconds > kMost_seconds) return std::chrono::nanoseconds::max();
  return std::chrono::nanoseconds(static_cast<int64_t>(std::max(seconds, -kMost_seconds) * 1e9));
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return std::chrono::nanoseconds(0);
  const auto seconds = text.empty() ? std::nullopt : sum_of_parts(text);
  if (!seconds) return std::nullopt;
  return from_seconds(negative ? -*seconds : *seconds);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  constexpr int64_t kMicrosecond = 1000, kMillisecond = 1000 * kMicrosecond, kSecond = 1000 * kMillisecond;
  const int64_t ns = duration.count();
  if (ns < 0) return fmt::format("-{}", format_duration(-duration));
  if (ns == 0) return "0s";
  if (ns < kMicrosecond) return fmt::format("{}ns", ns);
  if (ns < kMillisecond) return decimal(ns, kMicrosecond) + "µs";
  if (ns < kSecond) return decimal(ns, kMillisecond) + "ms";
  const int64_t minutes = ns / (60 * kSecond);
  const std::string seconds = decimal(ns % (60 * kSecond), kSecond) + "s";
  if (minutes == 0) return seconds;
  if (minutes < 60) return fmt::format("{}m{}", minutes, seconds);
  return fmt::format("{}h{}m{}", minutes / 60, minutes % 60, seconds);
}

}  // namespace hearth
