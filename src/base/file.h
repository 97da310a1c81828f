// Mapped files for reading, and files that appear whole or not at all for writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace hearth {

// A file mapped read-only. Movable; unmaps on destruction.
class MappedFile {
 public:
  // Errors: kNotFound, kIo (names path and cause). An empty file maps to an empty span.
  static Result<MappedFile> open(const std::string& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const std::string& path() const { return path_; }

  // The system begins to read `part` from the disk, if it is not in memory; nobody waits.
  void read_ahead(std::span<const std::byte> part) const;
  // Waits until `part` is in memory, and takes it all at once rather than page by page.
  void bring_in(std::span<const std::byte> part) const;
  // The whole pages inside `part` no longer count as this process's memory; reading them brings them back.
  void release(std::span<const std::byte> part) const;

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// Writes to a temporary file beside `path`; commit() makes it durable (fsync) and renames it.
// Without commit() nothing is left behind.
class AtomicFile {
 public:
  // Errors: kNotFound, kIo; also where `path` is a directory, a device or a pipe, which a rename would replace.
  static Result<AtomicFile> create(const std::string& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // Appends. Errors: kIo (names path and cause, "no space left" included).
  Status write(std::span<const std::byte> bytes);
  Status write(const void* data, size_t size) { return write({static_cast<const std::byte*>(data), size}); }
  uint64_t size() const { return size_; }
  Status commit();

 private:
  AtomicFile() = default;
  Status flush();
  int fd_ = -1;
  uint64_t size_ = 0;
  std::string path_, temporary_, buffer_;
};

// The whole of a (text) file. Errors as MappedFile::open.
Result<std::string> read_file(const std::string& path);

}  // namespace hearth
