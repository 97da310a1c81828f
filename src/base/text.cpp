#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth {
namespace {

constexpr double kKiB = 1 << 10, kMiB = 1 << 20, kGiB = 1 << 30;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string size_text(uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (value < kKiB) return bytes == 0 ? "0" : fmt::format("{} B", bytes);
  if (value < kMiB / 2) return fmt::format("{:.0f} KiB", value / kKiB);
  if (value < kGiB * 0.9995)
    return value < 9.95 * kMiB ? fmt::format("{:.1f} MiB", value / kMiB) : fmt::format("{:.0f} MiB", value / kMiB);
  return value < 9.995 * kGiB ? fmt::format("{:.2f} GiB", value / kGiB) : fmt::format("{:.1f} GiB", value / kGiB);
}

}  // namespace hearth
