// How the free space of a store's file system changes, to tell when it will be full. <store>/hearth/usage has a line
// "SECONDS FREE_BYTES" now and then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::store {

struct UsageSample {
  int64_t time = 0;  // seconds since 1970
  uint64_t free_bytes = 0;
};
std::vector<UsageSample> parse_usage(std::string_view text);
// Seconds until nothing is free at the rate of the last week's samples; nothing where space is not getting less, or too
// little is known yet (an hour).
std::optional<int64_t> seconds_until_full(const std::vector<UsageSample>& samples, int64_t now);

// Adds a sample if the last one is old enough; failures are no one's concern.
void note_usage(const std::string& store);
std::optional<int64_t> seconds_until_full(const std::string& store);

}  // namespace hearth::store
