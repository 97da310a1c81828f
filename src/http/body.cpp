#include "http/body.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace hearth::http {

Body::Body(Body&& other) noexcept
    : memory_(std::move(other.memory_)),
      size_(std::exchange(other.size_, 0)),
      expected_bytes_(other.expected_bytes_),
      sink_(std::move(other.sink_)),
      file_(std::move(other.file_)),
      mapped_(std::move(other.mapped_)) {
  other.file_.reset();
  other.mapped_.reset();
}

Body& Body::operator=(Body&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

Status Body::append(std::string_view bytes, uint64_t memory_bytes, const std::string& folder) {
  if (sink_) {
    TRY(sink_->write(bytes));
  } else {
    if (!file_ && size_ + bytes.size() > memory_bytes) TRY(begin_file(folder));
    if (file_) {
      TRY(file_->write(bytes.data(), bytes.size()));
    } else {
      memory_ += bytes;
    }
  }
  size_ += bytes.size();
  return {};
}

Status Body::begin_file(const std::string& folder) {
  ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::unnamed(folder, expected_bytes_, "the body of a request"));
  file_.emplace(std::move(file));
  TRY(file_->write(memory_.data(), memory_.size()));
  memory_ = {};
  return {};
}

Status Body::finish() {
  if (!file_) return {};
  TRY(file_->flush());
  ASSIGN_OR_RETURN(const InputFile file, InputFile::open(fmt::format("/proc/self/fd/{}", file_->fd())));
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
