#include "cli/history_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/descriptor.h"
#include "base/error.h"

namespace hearth::cli {
namespace {

bool is_regular(int fd, struct stat* status) {
  return ::fstat(fd, status) == 0 && S_ISREG(status->st_mode);
}

// Something is there, and it is no file. Even to open a device or a FIFO may change it.
bool is_something_else(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

std::string escaped(std::string_view entry) {
  std::string line;
  for (const char c : entry) {
    if (c == '\n')
      line += "\\n";
    else if (c == '\\')
      line += "\\\\";
    else
      line += c;
  }
  return line + "\n";
}

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

std::string unescaped(std::string_view line) {
  std::string entry;
  for (size_t i = 0; i < line.size(); ++i) {
    const std::string_view rest = line.substr(i + 1);
    if (line[i] != '\\' || rest.empty()) {
      entry += line[i];
    } else if (rest.size() >= 3 && is_octal(rest[0]) && is_octal(rest[1]) && is_octal(rest[2])) {
      entry += static_cast<char>((rest[0] - '0') * 64 + (rest[1] - '0') * 8 + (rest[2] - '0'));
      i += 3;
    } else if (rest.size() >= 2 && rest[0] == '^') {  // libedit's control characters
      entry += static_cast<char>(rest[1] ^ 0x40);
      i += 2;
    } else {
      entry += rest[0] == 'n' ? '\n' : rest[0];
      ++i;
    }
  }
  return entry;
}

// From `offset` to the end.
std::string read_from(int fd, off_t offset, size_t bytes) {
  std::string text(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    const ssize_t n = ::pread(fd, text.data() + done, bytes - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

// The newest lines, of at most so many bytes.
std::string newest(int fd, size_t file_bytes, size_t most_bytes) {
  if (file_bytes <= most_bytes) return read_from(fd, 0, file_bytes);
  const std::string text = read_from(fd, static_cast<off_t>(file_bytes - most_bytes), most_bytes);
  const size_t end = text.find('\n');  // of a line that is cut
  return end == std::string::npos ? std::string() : text.substr(end + 1);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// The newer half comes to the front before the end is cut off, so nothing of it is lost if that is interrupted.
void drop_older_half(const std::string& path, int locked, size_t bytes) {
  const std::string kept = newest(locked, bytes, HistoryFile::kMost_bytes / 2);
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {
  }, of_locked{};
  if (file.get() < 0 || !is_regular(file.get(), &status) || !is_regular(locked, &of_locked)) return;
  if (status.st_ino != of_locked.st_ino || status.st_dev != of_locked.st_dev) return;
  if (write_all(file.get(), kept) && ::ftruncate(file.get(), static_cast<off_t>(kept.size())) != 0) return;
}

}  // namespace

std::vector<std::string> HistoryFile::read(size_t most) const {
  if (path_.empty() || is_something_else(path_)) return {};
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (file.get() < 0 || !is_regular(file.get(), &status)) return {};
  const std::string text = newest(file.get(), static_cast<size_t>(status.st_size), 2 * kMost_bytes);
  std::vector<std::string> entries;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    if (!line.empty() && line != "_HiStOrY_V2_") entries.push_back(unescaped(line));
    at = end + 1;
  }
  if (entries.size() > most) entries.erase(entries.begin(), entries.end() - static_cast<ptrdiff_t>(most));
  return entries;
}

Status HistoryFile::append(std::string_view entry) const {
  if (path_.empty() || entry.size() > kMostOfAnEntry_bytes || is_something_else(path_)) return {};
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
  const Descriptor file(
      ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, S_IRUSR | S_IWUSR));
  const auto failure = [&] {
    return error(ErrorKind::kIo, "cannot write the history file {}: {}", path_, std::strerror(errno));
  };
  if (file.get() < 0) return failure();
  struct stat status {};
  if (!is_regular(file.get(), &status)) return {};
  while (::flock(file.get(), LOCK_EX) != 0)
    if (errno != EINTR) break;  // a file system without locks: appending is whole all the same
  if (!write_all(file.get(), escaped(entry))) return failure();
  if (is_regular(file.get(), &status) && static_cast<size_t>(status.st_size) > kMost_bytes)
    drop_older_half(path_, file.get(), static_cast<size_t>(status.st_size));
  return {};
}

}  // namespace hearth::cli
