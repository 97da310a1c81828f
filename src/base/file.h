// Files that are read at any place, and mapped files; for writing see atomic_file.h.
//
// Other programs may cut, replace or overwrite a file while it is in use. What is read is an error then, never a
// signal.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace hearth {

struct FileGuard;  // see file_guard.h

// "cannot open PATH: No such file or directory", of an errno: kNotFound, kNoSpace (a full disk, a quota) or kIo.
Error io_error(const char* what, const std::string& path, int code);

// An open regular file. Movable; closes on destruction. Reading is safe on several threads.
class InputFile {
 public:
  // Errors: kNotFound, kIo (names path and cause); also where `path` is a directory, a device or a pipe.
  static Result<InputFile> open(const std::string& path);

  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }  // as it was when it was opened

  // Fills `to` with what the file has from `at` on. Errors: kIo, also where the file has become shorter than that.
  Status read(uint64_t at, std::span<std::byte> to) const;
  // The system begins to read this part from the disk, if it is not in memory; nobody waits.
  void read_ahead(uint64_t at, uint64_t bytes) const;
  // kIo if somebody has written to the file since it was opened. One that was replaced by another of the same name is
  // still there for whoever has it open, and unchanged. Takes less than a microsecond.
  Status check_unchanged() const;

 private:
  friend class MappedFile;
  InputFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_ = -1;
  std::string path_;
  uint64_t size_ = 0;
  timespec modified_{};
};

// All of a file as read-only memory, which reads as zeros from the moment on at which a part of it cannot be had (the
// file was cut, or the disk failed); check() tells. Movable; unmaps on destruction.
class MappedFile {
 public:
  // Errors: kIo, kNoMemory. An empty file maps to an empty span.
  static Result<MappedFile> map(const InputFile& file);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  // kIo if what was read so far may be zeros in place of the file's bytes.
  Status check() const;
  // Waits until `part` is in memory, and takes it all at once rather than page by page.
  void bring_in(std::span<const std::byte> part) const;

 private:
  MappedFile() = default;

  void* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
  FileGuard* guard_ = nullptr;
};

// The whole of a file, pipe or device. Errors: kNotFound, kIo.
Result<std::string> read_file(const std::string& path);

}  // namespace hearth
