#include "base/memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <sstream>

#include "base/control_groups.h"
#include "base/file.h"
#include "base/text.h"

namespace hearth {
namespace {

std::optional<uint64_t> number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() ? std::optional(value) : std::nullopt;
}

// The number in the only line of `path`; nothing for "max".
std::optional<uint64_t> number_in(const std::string& path) {
  const auto text = read_file(path);
  return text ? number(*text) : std::nullopt;
}

// The number behind `key` at the start of a line; 0 if it is not there.
uint64_t field(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key)) return number(std::string_view(line).substr(key.size())).value_or(0);
  }
  return 0;
}

// Where a version of control groups keeps what we need.
struct Version {
  const char* limit;
  const char* usage;
  const char* inactive_file;
  const char* active_file;
};
constexpr Version kVersion1 = {"/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file ",
                               "total_active_file "};
constexpr Version kVersion2 = {"/memory.max", "/memory.current", "inactive_file ", "active_file "};

// What a group's limit leaves; nothing if it sets none.
std::optional<uint64_t> room(const ControlGroup& group) {
  const Version& version = group.version == 1 ? kVersion1 : kVersion2;
  const auto limit = number_in(group.folder + version.limit), usage = number_in(group.folder + version.usage);
  if (!limit || !usage) return std::nullopt;
  const auto stat = read_file(group.folder + "/memory.stat");
  const uint64_t droppable = stat ? field(*stat, version.inactive_file) + field(*stat, version.active_file) : 0;
  const uint64_t held = *usage > droppable ? *usage - droppable : 0;
  return *limit > held ? *limit - held : 0;
}

}  // namespace

AvailableMemory available_memory(const std::string& root) {
  AvailableMemory least{.bytes = UINT64_MAX, .limited_by = "this machine"};
  if (const auto text = read_file(root + "/proc/meminfo"); text) {
    if (const uint64_t kib = field(*text, "MemAvailable:"); kib > 0) least.bytes = kib * 1024;
  }
  for (const ControlGroup& group : control_groups("memory", root)) {
    const auto bytes = room(group);
    if (bytes && *bytes < least.bytes)
      least = {.bytes = *bytes, .limited_by = fmt::format("the control group {}", group.path)};
  }
  return least;
}

std::string to_string(const AvailableMemory& memory) {
  std::string text = fmt::format("{} has {} available", memory.limited_by, size_text(memory.bytes));
  if (memory.promised_bytes > 0)
    text += fmt::format(" (and {} more that are promised to models that are loaded)", size_text(memory.promised_bytes));
  return text;
}

uint64_t resident_bytes() {
  const auto text = read_file("/proc/self/statm");  // pages: size resident ...
  const size_t space = text ? text->find(' ') : std::string::npos;
  if (space == std::string::npos) return 0;
  return number(std::string_view(*text).substr(space)).value_or(0) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace hearth
