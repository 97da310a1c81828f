#include "cli/rate.h"

#include <fmt/format.h>

#include "base/text.h"

namespace hearth::cli {

std::string Rate::text(uint64_t done, uint64_t total, Clock::time_point now) {
  constexpr std::chrono::seconds kWindow{10};
  constexpr std::chrono::milliseconds kLeast{500};
  while (seen_.size() > 1 && now - seen_[1].first >= kWindow) seen_.pop_front();
  const auto [since, before] = seen_.front();
  if (now - seen_.back().first >= std::chrono::milliseconds(200)) seen_.emplace_back(now, done);
  const double seconds = std::chrono::duration<double>(now - since).count();
  if (now - since < kLeast || done <= before) return {};
  const double rate = static_cast<double>(done - before) / seconds;
  std::string text = size_text(static_cast<uint64_t>(rate)) + "/s";
  if (total <= done) return text;
  const auto left = static_cast<uint64_t>(static_cast<double>(total - done) / rate + 0.5);
  const std::string time = left >= 3600 ? fmt::format("{}h{:02}m", left / 3600, left / 60 % 60)
                           : left >= 60 ? fmt::format("{}m{:02}s", left / 60, left % 60)
                                        : fmt::format("{}s", left);
  return text + ", " + time + " left";
}

}  // namespace hearth::cli
