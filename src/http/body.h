// The content of a request: small ones in memory, large ones in a file without a name, so that what a client sends
// costs disk, not memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace hearth::http {

class Body {
 public:
  Body() = default;
  explicit Body(std::string text) : memory_(std::move(text)), size_(memory_.size()) {}
  Body(Body&& other) noexcept;
  Body& operator=(Body&& other) noexcept;
  ~Body();

  uint64_t size() const { return size_; }
  bool on_disk() const { return fd_ >= 0; }

  // While it is received. What goes beyond `memory_bytes` is in a file in `folder`. Errors: kIo.
  Status append(std::string_view bytes, uint64_t memory_bytes, const std::string& folder);
  // When all is there, and before text(). Errors: kIo, kNoMemory.
  Status finish();

  // All of it; valid as long as this object is. Reads as zeros where the disk has failed since: see check().
  std::string_view text() const;
  Status check() const;

 private:
  Status begin_file(const std::string& folder);
  Status write(std::string_view bytes);

  std::string memory_;
  uint64_t size_ = 0;
  int fd_ = -1;
  std::optional<MappedFile> mapped_;
};

}  // namespace hearth::http
