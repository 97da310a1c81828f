#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWriteBuffer_bytes = 1 << 20;
constexpr std::string_view kMark = ".partial-";
constexpr size_t kMark_letters = 6;
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr int kMost_tries = 100;

std::string random_letters() {
  static std::random_device random;
  std::string letters;
  for (size_t i = 0; i < kMark_letters; ++i) letters += kLetters[random() % kLetters.size()];
  return letters;
}

bool is_temporary_of(const std::string& target, std::string_view name) {
  const std::string start = target + std::string(kMark);
  return name.size() == start.size() + kMark_letters && name.starts_with(start) &&
         name.find_first_not_of(kLetters, start.size()) == std::string_view::npos;
}

std::string folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

// The file that is written when this path is: where links lead.
std::string follow_links(const std::string& path) {
  std::error_code failed;
  const fs::path real = fs::canonical(path, failed);
  return failed ? path : real.string();
}

bool is_same_file(int fd, const std::string& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

int open_file(const char* path, int flags, mode_t mode) {
  return ::open(path, flags, mode);
}

}  // namespace

FileOperations& file_operations() {
  static FileOperations system{open_file, ::write, ::fsync, ::rename, ::unlink, ::pwrite, ::fallocate};
  return system;
}

// What rename() has done survives a loss of power only then. Some file systems have no such operation on folders.
Status sync_folder(const std::string& folder) {
  const FileOperations& system = file_operations();
  const int fd = system.open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return errno == EACCES ? Status() : Status(io_error("open", folder, errno));  // one may write, not list
  const int code = system.fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code == 0 || code == EINVAL || code == EOPNOTSUPP) return {};
  return io_error("write", folder, code);
}

void remove_leftovers(const std::string& path) {
  const std::string target = follow_links(path), name = fs::path(target).filename().string();
  std::error_code failed;
  for (fs::directory_iterator it(folder_of(target), failed), end; !failed && it != end; it.increment(failed)) {
    if (!is_temporary_of(name, it->path().filename().string())) continue;
    const std::string found = it->path().string();
    const int fd = ::open(found.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    struct stat info {};
    const bool left = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && ::flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (left) file_operations().unlink(found.c_str());
    ::close(fd);
  }
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  struct stat present {};
  if (::stat(path.c_str(), &present) == 0 && !S_ISREG(present.st_mode))  // a rename would replace a device
    return error(ErrorKind::kIo, "cannot write {}: {}", path,
                 S_ISDIR(present.st_mode) ? "it is a directory" : "it is not a regular file");
  if (fs::path(path).filename().empty()) return error(ErrorKind::kIo, "cannot write '{}': it names no file", path);
  remove_leftovers(path);
  AtomicFile file;
  file.path_ = follow_links(path);
  TRY(file.open_temporary());
  return file;
}

Result<AtomicFile> AtomicFile::unnamed(const std::string& folder) {
  AtomicFile file;
  file.path_ = folder;
  for (int i = 0; i < kMost_tries && file.fd_ < 0; ++i) {
    const std::string name = folder + "/.hearth-" + random_letters();
    file.fd_ = file_operations().open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file.fd_ < 0 && errno != EEXIST) return io_error("create a file in", folder, errno);
    if (file.fd_ >= 0) file_operations().unlink(name.c_str());  // a crash leaves nothing behind
  }
  if (file.fd_ < 0) return io_error("create a file in", folder, EEXIST);
  return file;
}

Status AtomicFile::open_temporary() {
  for (int i = 0; i < kMost_tries; ++i) {
    temporary_ = path_ + std::string(kMark) + random_letters();
    fd_ = file_operations().open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno == EEXIST) continue;
    if (fd_ < 0) return io_error("create", path_, errno);
    // Before the lock somebody may have taken the new file for a leftover; then it is gone, or about to be.
    const bool locked = ::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (locked && is_same_file(fd_, temporary_)) return {};
    ::close(std::exchange(fd_, -1));
  }
  return io_error("create", path_, EEXIST);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      buffer_(std::move(other.buffer_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  if (!temporary_.empty()) file_operations().unlink(temporary_.c_str());
  ::close(fd_);
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_ += bytes.size();
  return buffer_.size() >= kWriteBuffer_bytes ? flush() : Status();
}

Status AtomicFile::flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = file_operations().write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("write", path_, errno);
    done += static_cast<size_t>(n);
  }
  buffer_.clear();
  return {};
}

Status AtomicFile::commit() {
  return commit_as(path_);
}

Status AtomicFile::commit_as(const std::string& path) {
  CHECK(!temporary_.empty());
  TRY(flush());
  if (file_operations().fsync(fd_) != 0) return io_error("write", path, errno);
  if (file_operations().rename(temporary_.c_str(), path.c_str()) != 0) return io_error("rename to", path, errno);
  ::close(std::exchange(fd_, -1));
  return sync_folder(folder_of(path));
}

}  // namespace hearth
