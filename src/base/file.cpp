#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/file_guard.h"

namespace hearth {
namespace {

size_t page_bytes() {
  static const size_t bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

Error io_error(const char* what, const std::string& path, int code) {
  const ErrorKind kind = code == ENOENT                      ? ErrorKind::kNotFound
                         : code == ENOSPC || code == EDQUOT ? ErrorKind::kNoSpace
                                                            : ErrorKind::kIo;
  const char* cause = code == EFBIG ? "it would be larger than files may be here (see ulimit -f)" : std::strerror(code);
  return error(kind, "cannot {} {}: {}", what, path, cause);
}

Result<InputFile> InputFile::open(const std::string& path) {
  if (path.find('\0') != std::string::npos) return error(ErrorKind::kNotFound, "no file's name has a NUL in it");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe has no end to wait for
  if (fd < 0) return io_error("open", path, errno);
  InputFile file(fd, path);
  struct stat info {};
  if (::fstat(fd, &info) != 0) return io_error("read", path, errno);
  if (!S_ISREG(info.st_mode))
    return error(ErrorKind::kIo, "cannot read {}: {}", path,
                 S_ISDIR(info.st_mode) ? "it is a directory" : "it is not a regular file");
  file.size_ = static_cast<uint64_t>(info.st_size);
  file.modified_ = info.st_mtim;
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      size_(other.size_),
      modified_(other.modified_) {}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status InputFile::read(uint64_t at, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t n = ::pread(fd_, to.data(), to.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("read", path_, errno);
    if (n == 0) return error(ErrorKind::kIo, "{} became shorter while it was read; get it again", path_);
    at += static_cast<uint64_t>(n);
    to = to.subspan(static_cast<size_t>(n));
  }
  return {};
}

void InputFile::read_ahead(uint64_t at, uint64_t bytes) const {
  ::posix_fadvise(fd_, static_cast<off_t>(at), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

Status InputFile::check_unchanged() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return io_error("read", path_, errno);
  if (static_cast<uint64_t>(info.st_size) < size_)
    return error(ErrorKind::kIo, "{} became shorter while it was in use; get it again", path_);
  const bool same = info.st_mtim.tv_sec == modified_.tv_sec && info.st_mtim.tv_nsec == modified_.tv_nsec;
  if (same && static_cast<uint64_t>(info.st_size) == size_) return {};
  return error(ErrorKind::kIo, "{} was written to while it was in use; load it again", path_);
}

Result<MappedFile> MappedFile::map(const InputFile& file) {
  MappedFile mapped;
  mapped.path_ = file.path();
  mapped.size_ = file.size();
  if (mapped.size_ == 0) return mapped;
  void* data = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_SHARED, file.fd_, 0);
  if (data == MAP_FAILED) return io_error("map", file.path(), errno);
  mapped.data_ = data;
  mapped.guard_ = guard_mapping(data, round_up(mapped.size_, page_bytes()));
  if (mapped.guard_ == nullptr)
    return error(ErrorKind::kNoMemory, "cannot map {}: too many files are mapped", file.path());
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(other.size_),
      path_(std::move(other.path_)),
      guard_(std::exchange(other.guard_, nullptr)) {}

MappedFile::~MappedFile() {
  if (guard_ != nullptr) end_guard(guard_);
  if (data_ != nullptr) ::munmap(data_, size_);
}

Status MappedFile::check() const {
  if (guard_ == nullptr || !is_broken(*guard_)) return {};
  return error(ErrorKind::kIo, "{} became shorter while it was in use, or its disk failed; get it again", path_);
}

void MappedFile::bring_in(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const uintptr_t start = reinterpret_cast<uintptr_t>(part.data()) / page_bytes() * page_bytes();
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data()) + part.size();
  ::madvise(reinterpret_cast<void*>(start), end - start, MADV_POPULATE_READ);  // a system that lacks it goes without
}

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);  // pipes and /dev/stdin work too
  if (fd < 0) return io_error("open", path, errno);
  std::string text;
  char chunk[1 << 16];
  while (true) {
    const ssize_t n = ::read(fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      ::close(fd);
      return io_error("read", path, code);
    }
    if (n == 0) break;
    text.append(chunk, static_cast<size_t>(n));
  }
  ::close(fd);
  return text;
}

}  // namespace hearth
