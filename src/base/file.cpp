#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace hearth {
namespace {

constexpr size_t kWriteBuffer_bytes = 1 << 20;

Error io_error(const char* what, const std::string& path, int code) {
  const ErrorKind kind = code == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo;
  return error(kind, "cannot {} {}: {}", what, path, std::strerror(code));
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe has no end to wait for
  if (fd < 0) return io_error("open", path, errno);
  struct stat info {};
  MappedFile file;
  file.path_ = path;
  if (::fstat(fd, &info) != 0) {
    const int code = errno;
    ::close(fd);
    return io_error("read", path, code);
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    return error(ErrorKind::kIo, "cannot read {}: {}", path,
                 S_ISDIR(info.st_mode) ? "it is a directory" : "it is not a regular file");
  }
  file.size_ = static_cast<size_t>(info.st_size);
  if (file.size_ > 0) {
    file.data_ = ::mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, fd, 0);
    if (file.data_ == MAP_FAILED) {
      const int code = errno;
      file.data_ = nullptr;
      ::close(fd);
      return io_error("map", path, code);
    }
  }
  ::close(fd);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept {
  *this = std::move(other);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

namespace {

// For all pages that `part` touches. A system that does not know the advice goes without.
void advise(std::span<const std::byte> part, int advice) {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t start = reinterpret_cast<uintptr_t>(part.data()) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data()) + part.size();
  if (!part.empty()) ::madvise(reinterpret_cast<void*>(start), end - start, advice);
}

}  // namespace

void MappedFile::read_ahead(std::span<const std::byte> part) const {
  advise(part, MADV_WILLNEED);
}

void MappedFile::bring_in(std::span<const std::byte> part) const {
  advise(part, MADV_POPULATE_READ);
}

void MappedFile::release(std::span<const std::byte> part) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t start = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(part.data()) + part.size()) / page * page;
  if (start < end) ::madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  struct stat present {};
  if (::stat(path.c_str(), &present) == 0 && !S_ISREG(present.st_mode))  // a rename would replace a device
    return error(ErrorKind::kIo, "cannot write {}: {}", path,
                 S_ISDIR(present.st_mode) ? "it is a directory" : "it is not a regular file");
  AtomicFile file;
  file.path_ = path;
  file.temporary_ = path + ".partial-XXXXXX";
  file.fd_ = ::mkostemp(file.temporary_.data(), O_CLOEXEC);
  if (file.fd_ < 0) return io_error("create", path, errno);
  ::fchmod(file.fd_, 0644);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      buffer_(std::move(other.buffer_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_ += bytes.size();
  return buffer_.size() >= kWriteBuffer_bytes ? flush() : Status();
}

Status AtomicFile::flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("write", path_, errno);
    done += static_cast<size_t>(n);
  }
  buffer_.clear();
  return {};
}

Status AtomicFile::commit() {
  TRY(flush());
  if (::fsync(fd_) != 0) return io_error("write", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return io_error("rename to", path_, errno);
  ::close(std::exchange(fd_, -1));
  return {};
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
