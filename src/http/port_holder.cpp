#include "http/port_holder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/file.h"
#include "base/outside_text.h"

namespace hearth::http {
namespace {

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> list;
  for (size_t at = 0; (at = line.find_first_not_of(' ', at)) != std::string_view::npos;) {
    const size_t end = std::min(line.find(' ', at), line.size());
    list.push_back(line.substr(at, end - at));
    at = end;
  }
  return list;
}

template <class T>
std::optional<T> number(std::string_view text, int base) {
  T value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Whether one of the files that the process has open is one of these sockets.
bool has_socket(const std::filesystem::path& process, const std::vector<std::string>& sockets) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(process / "fd", error), end; !error && it != end; it.increment(error)) {
    const std::string link = std::filesystem::read_symlink(it->path(), error).string();
    if (!error && std::find(sockets.begin(), sockets.end(), link) != sockets.end()) return true;
    error.clear();
  }
  return false;
}

}  // namespace

std::vector<uint64_t> listening_inodes(std::string_view table, uint16_t port) {
  constexpr std::string_view kListen = "0A";
  std::vector<uint64_t> inodes;
  while (!table.empty()) {
    const std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(table.size(), line.size() + 1));
    const std::vector<std::string_view> fields = words(line);
    if (fields.size() < 10 || fields[3] != kListen) continue;
    const size_t colon = fields[1].find(':');
    if (colon == std::string_view::npos || number<uint16_t>(fields[1].substr(colon + 1), 16) != port) continue;
    if (const auto inode = number<uint64_t>(fields[9], 10)) inodes.push_back(*inode);
  }
  return inodes;
}

std::string port_holder(uint16_t port) {
  std::vector<std::string> sockets;
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const Result<std::string> table = read_file(path);
    if (!table) continue;
    for (const uint64_t inode : listening_inodes(*table, port)) sockets.push_back(fmt::format("socket:[{}]", inode));
  }
  if (sockets.empty()) return {};
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string pid = it->path().filename().string();
    if (!number<int>(pid, 10) || !has_socket(it->path(), sockets)) continue;
    const Result<std::string> name = read_file((it->path() / "comm").string());
    if (!name) continue;
    return fmt::format("{} (process {})", printable(name->substr(0, name->find('\n'))), pid);
  }
  return "a process of another user";
}

}  // namespace hearth::http
