#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace hearth {
namespace {

constexpr double kKiB = 1 << 10, kMiB = 1 << 20, kGiB = 1 << 30;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Changes, insertions, omissions and exchanges of neighbours that make one of the other (Damerau 1964, each place
// once).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);  // of two letters, one and none more
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  const auto equal = [&](size_t i, size_t j) { return lower(a[i]) == lower(b[j]); };
  for (size_t i = 0; i < a.size(); ++i) {
    next[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      next[j + 1] = std::min({row[j] + (equal(i, j) ? 0 : 1), next[j] + 1, row[j + 1] + 1});
      if (i > 0 && j > 0 && equal(i, j - 1) && equal(i - 1, j)) next[j + 1] = std::min(next[j + 1], before[j - 1] + 1);
    }
    before = std::exchange(row, next);
  }
  return row.back();
}

}  // namespace

std::string_view nearest(std::string_view name, std::span<const std::string_view> names) {
  std::string_view best;
  size_t distance = 3;  // more typing errors than two are another word
  for (const std::string_view candidate : names) {
    const size_t here = edit_distance(name, candidate);
    if (here >= distance) continue;
    distance = here;
    best = candidate;
  }
  return best;
}

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
