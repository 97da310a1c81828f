#include "base/duration.h"

#include <fmt/format.h>

namespace hearth {
namespace {

// value / unit with as many decimals as are not zero.
std::string decimal(int64_t value, int64_t unit) {
  std::string text = fmt::format("{}.{:0{}}", value / unit, value % unit, fmt::formatted_size("{}", unit) - 1);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

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
