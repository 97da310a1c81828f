// Files that appear whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace hearth {

// What AtomicFile and src/disk ask of the system. A test replaces members, to see the order of the calls and to let
// each of them fail; they return what the functions of those names return, and set errno.
struct FileOperations {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* data, size_t size);
  int (*fsync)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*unlink)(const char* path);
  ssize_t (*pwrite)(int fd, const void* data, size_t size, off_t at);
  int (*fallocate)(int fd, int mode, off_t at, off_t size);
};
FileOperations& file_operations();

// Writes to a temporary file beside `path`; commit() makes it durable, gives it its name, and makes that durable too
// (fsync of the file, rename, fsync of the folder). Without commit() nothing is left behind. Of a process that died
// nothing could be removed: the next one that writes to the same path does it (see remove_leftovers()).
// The mode is the usual one for new files (0666 without the umask's bits). A symbolic link stays; the file that it
// points to is replaced.
class AtomicFile {
 public:
  // Errors: kNotFound, kIo; also where `path` is a directory, a device or a pipe, which a rename would replace.
  static Result<AtomicFile> create(const std::string& path);
  // In a folder, without a name: only this process can read it, and it goes with this object. It is for commit()
  // neither. Errors: kNotFound, kIo.
  static Result<AtomicFile> unnamed(const std::string& folder);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // Appends. Errors: kIo (names path and cause, "no space left" included).
  Status write(std::span<const std::byte> bytes);
  Status write(const void* data, size_t size) { return write({static_cast<const std::byte*>(data), size}); }
  uint64_t size() const { return size_; }
  Status flush();  // hands over what was written so far
  Status commit();
  // In the place of `path`, which must be on the same file system.
  Status commit_as(const std::string& path);

  int fd() const { return fd_; }
  const std::string& temporary() const { return temporary_; }  // its name until commit(); empty: it has none

 private:
  AtomicFile() = default;
  Status open_temporary();

  int fd_ = -1;  // locked (flock) as long as this object lives, so that others see that somebody writes
  uint64_t size_ = 0;
  std::string path_, temporary_, buffer_;
};

// Removes temporary files for `path` whose writers have died: PATH.partial-XXXXXX that nobody holds a lock on.
void remove_leftovers(const std::string& path);

// Makes durable which files a folder has. Errors: kIo, kNoSpace.
Status sync_folder(const std::string& folder);

}  // namespace hearth
