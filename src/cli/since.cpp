#include "cli/since.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace hearth::cli {
namespace {

int64_t or_now(int64_t now) {
  return now != 0 ? now : static_cast<int64_t>(std::time(nullptr));
}

// "4 minutes", "About an hour": of the largest unit that fits.
std::string span_text(int64_t seconds) {
  constexpr int64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour, kWeek = 7 * kDay, kMonth = 30 * kDay,
                    kYear = 365 * kDay;
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < kMinute) return fmt::format("{} seconds", seconds);
  if (seconds < 2 * kMinute) return "About a minute";
  if (seconds < kHour) return fmt::format("{} minutes", seconds / kMinute);
  if (seconds < 2 * kHour) return "About an hour";
  if (seconds < 2 * kDay) return fmt::format("{} hours", seconds / kHour);
  if (seconds < 2 * kWeek) return fmt::format("{} days", seconds / kDay);
  if (seconds < 2 * kMonth) return fmt::format("{} weeks", seconds / kWeek);
  if (seconds < 2 * kYear) return fmt::format("{} months", seconds / kMonth);
  return fmt::format("{} years", seconds / kYear);
}

}  // namespace

int64_t parse_time(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return 0;
  int64_t time = ::timegm(&parts);
  while (*rest == '.' || (*rest >= '0' && *rest <= '9')) ++rest;
  int hours = 0, minutes = 0;
  if ((*rest == '+' || *rest == '-') && std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) == 2)
    time -= (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  return time;
}

std::string since_text(int64_t time, int64_t now) {
  return span_text(or_now(now) - time) + " ago";
}

std::string until_text(int64_t time, int64_t now) {
  constexpr int64_t kFor_ever = 4'102'444'800;  // the year 2100
  if (time >= kFor_ever) return "Forever";
  const int64_t left = time - or_now(now);
  return left < 0 ? "Stopping..." : span_text(left) + " from now";
}

}  // namespace hearth::cli
