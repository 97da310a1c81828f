#include "sampling/stop_strings.h"

#include <algorithm>
#include <utility>

namespace hearth::sampling {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string());
}

StopStrings::Output StopStrings::feed(std::string_view piece) {
  held_ += piece;
  // The one that is complete first wins (of several, the longest), so that the result does not depend on
  // where the pieces were cut.
  size_t first_end = std::string::npos, start = 0;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    const size_t end = at + stop.size();
    if (end < first_end || (end == first_end && at < start)) {
      first_end = end;
      start = at;
    }
  }
  if (first_end != std::string::npos) {
    Output out{held_.substr(0, start), true, held_.substr(start, first_end - start)};
    held_.clear();
    return out;
  }
  size_t keep = 0;  // the longest end of the text that may be the beginning of a stop string
  for (const std::string& stop : stops_) {
    size_t length = std::min(stop.size() - 1, held_.size());
    while (length > keep && !held_.ends_with(std::string_view(stop).substr(0, length))) --length;
    keep = std::max(keep, length);
  }
  Output out{held_.substr(0, held_.size() - keep), false};
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string StopStrings::finish() {
  return std::exchange(held_, {});
}

}  // namespace hearth::sampling
