#include "http/body.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace hearth::http {

Body::Body(Body&& other) noexcept
    : memory_(std::move(other.memory_)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      mapped_(std::move(other.mapped_)) {
  other.mapped_.reset();
}

Body& Body::operator=(Body&& other) noexcept {
  if (this != &other) {
    this->~Body();
    new (this) Body(std::move(other));
  }
  return *this;
}

Body::~Body() {
  if (fd_ >= 0) close(fd_);
}

Status Body::append(std::string_view bytes, uint64_t memory_bytes, const std::string& folder) {
  if (fd_ < 0 && size_ + bytes.size() > memory_bytes) {
    TRY(begin_file(folder));
    TRY(write(memory_));
    memory_ = {};
  }
  if (fd_ >= 0) {
    TRY(write(bytes));
  } else {
    memory_ += bytes;
  }
  size_ += bytes.size();
  return {};
}

Status Body::begin_file(const std::string& folder) {
  std::string path = folder + "/hearth-body-XXXXXX";
  fd_ = mkostemp(path.data(), O_CLOEXEC);
  if (fd_ < 0) return io_error("cannot create", path, errno);
  unlink(path.c_str());  // nobody else can read it, and a crash leaves nothing behind
  return {};
}

Status Body::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("cannot write to", "a file for a request's body", errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status Body::finish() {
  if (fd_ < 0) return {};
  ASSIGN_OR_RETURN(const InputFile file, InputFile::open(fmt::format("/proc/self/fd/{}", fd_)));
  ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::map(file));
  mapped_.emplace(std::move(mapped));
  return {};
}

std::string_view Body::text() const {
  if (!mapped_) return memory_;
  return {reinterpret_cast<const char*>(mapped_->bytes().data()), mapped_->bytes().size()};
}

Status Body::check() const {
  return mapped_ ? mapped_->check() : Status();
}

}  // namespace hearth::http
