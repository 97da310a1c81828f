// The content of a request: small ones in memory, large ones in a file without a name, whose space the guard of the
// disk has promised, so that what a client sends costs disk, not memory; or what takes it as it arrives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "disk/new_file.h"

namespace hearth::http {

// Takes a body piece by piece. It is ended by its destructor, wherever the client is by then.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // On the server's thread. Errors: whatever keeps it from being taken; the rest is not read then.
  virtual Status write(std::string_view bytes) = 0;
};

class Body {
 public:
  Body() = default;
  explicit Body(std::string text) : memory_(std::move(text)), size_(memory_.size()) {}
  Body(Body&& other) noexcept;
  Body& operator=(Body&& other) noexcept;

  uint64_t size() const { return size_; }
  bool on_disk() const { return file_.has_value(); }

  // Before the first append(): what takes all of it, of which text() then has nothing.
  void set_sink(std::shared_ptr<BodySink> sink) { sink_ = std::move(sink); }
  const std::shared_ptr<BodySink>& sink() const { return sink_; }
  // Likewise: how long it will be.
  void expect(uint64_t bytes) { expected_bytes_ = bytes; }

  // While it is received. What goes beyond `memory_bytes` is in a file in `folder`. Errors: kIo, kNoSpace, those of the
  // sink.
  Status append(std::string_view bytes, uint64_t memory_bytes, const std::string& folder);
  // When all is there, and before text(). Errors: kIo, kNoSpace, kNoMemory.
  Status finish();

  // All of it; valid as long as this object is. Reads as zeros where the disk has failed since: see check().
  std::string_view text() const;
  Status check() const;

 private:
  Status begin_file(const std::string& folder);

  std::string memory_;
  uint64_t size_ = 0, expected_bytes_ = 0;
  std::shared_ptr<BodySink> sink_;
  std::optional<disk::NewFile> file_;
  std::optional<MappedFile> mapped_;
};

}  // namespace hearth::http
