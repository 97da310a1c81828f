#include "store/usage.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/file.h"
#include "disk/facts.h"
#include "disk/new_file.h"
#include "store/tiers.h"

namespace hearth::store {
namespace {

constexpr int64_t kWeek_s = 7 * 24 * 3600, kLeast_s = 3600, kEvery_s = 600;
constexpr size_t kMost_samples = 1'008;  // a week of them

std::string usage_file(const std::string& store) {
  return own_folder(store) + "/usage";
}

}  // namespace

std::vector<UsageSample> parse_usage(std::string_view text) {
  std::vector<UsageSample> samples;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    UsageSample sample;
    const char* const end = line.data() + line.size();
    const auto [blank, bad_time] = std::from_chars(line.data(), end, sample.time);
    if (bad_time != std::errc() || blank == end || *blank != ' ') continue;
    if (std::from_chars(blank + 1, end, sample.free_bytes).ec == std::errc()) samples.push_back(sample);
  }
  return samples;
}

// The slope of the line through the samples that has the least squares.
std::optional<int64_t> seconds_until_full(const std::vector<UsageSample>& samples, int64_t now) {
  double n = 0, sum_t = 0, sum_f = 0;
  int64_t first = now, last = 0;
  const auto counts = [&](const UsageSample& sample) { return sample.time <= now && now - sample.time <= kWeek_s; };
  for (const UsageSample& sample : samples) {
    if (!counts(sample)) continue;
    n += 1;
    sum_t += static_cast<double>(sample.time - now);
    sum_f += static_cast<double>(sample.free_bytes);
    first = std::min(first, sample.time);
    last = std::max(last, sample.time);
  }
  if (n < 2 || last - first < kLeast_s) return std::nullopt;
  double above = 0, below = 0;
  for (const UsageSample& sample : samples) {
    if (!counts(sample)) continue;
    const double t = static_cast<double>(sample.time - now) - sum_t / n;
    above += t * (static_cast<double>(sample.free_bytes) - sum_f / n);
    below += t * t;
  }
  const double slope = above / below;  // bytes a second
  if (!(slope < -1)) return std::nullopt;
  const double left = static_cast<double>(samples.back().free_bytes) / -slope;
  constexpr double kLong_s = 10.0 * 365 * 24 * 3600;
  return left < kLong_s ? std::optional(static_cast<int64_t>(left)) : std::nullopt;
}

void note_usage(const std::string& store) {
  const auto facts = disk::facts_of(store);
  const auto text = read_file(usage_file(store));
  std::vector<UsageSample> samples = text ? parse_usage(*text) : std::vector<UsageSample>();
  const int64_t now = std::time(nullptr);
  if (!facts || (!samples.empty() && now - samples.back().time < kEvery_s)) return;
  samples.push_back({now, facts->free_bytes});
  if (samples.size() > kMost_samples) samples.erase(samples.begin(), samples.end() - kMost_samples);
  std::string lines;
  for (const UsageSample& sample : samples) lines += fmt::format("{} {}\n", sample.time, sample.free_bytes);
  (void)disk::write_file(usage_file(store), lines, "how the free space changes").ok();
}

std::optional<int64_t> seconds_until_full(const std::string& store) {
  const auto text = read_file(usage_file(store));
  return text ? seconds_until_full(parse_usage(*text), std::time(nullptr)) : std::nullopt;
}

}  // namespace hearth::store
