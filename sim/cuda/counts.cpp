#include "sim/cuda/counts.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "sim/machine/forever.h"
#include "sim/machine/say.h"

namespace hearth::sim::cuda {
namespace {

const char* file_name() {
  const char* path = std::getenv("HEARTH_SIM_COUNTS");
  return path != nullptr && *path != '\0' ? path : nullptr;
}

// By kernel: element 0 counts launches, the others are the lines.
std::map<std::string, std::vector<std::uint64_t>>& counts() {
  static auto& all = forever(new std::map<std::string, std::vector<std::uint64_t>>);
  return all;
}

}  // namespace

bool counts_wanted() {
  return file_name() != nullptr;
}

void count_launch(const std::string& kernel, const exec::LaunchStats& stats) {
  std::vector<std::uint64_t>& lines = counts()[kernel];
  if (lines.size() < stats.executed.size()) lines.resize(stats.executed.size());
  if (lines.empty()) return;
  ++lines[0];
  for (std::size_t i = 1; i < stats.executed.size(); ++i) lines[i] += stats.executed[i];
}

void write_counts() {
  if (!counts_wanted()) return;
  std::FILE* const file = std::fopen(file_name(), "w");
  if (file == nullptr) return say(fmt::format("cannot write {}: {}", file_name(), std::strerror(errno)));
  for (const auto& [kernel, lines] : counts()) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i] != 0)
        std::fprintf(file, "%s %zu %llu\n", kernel.c_str(), i, static_cast<unsigned long long>(lines[i]));
    }
  }
  std::fclose(file);
}

}  // namespace hearth::sim::cuda
