// How hearth writes a file of more than a few bytes: its space is promised, then taken, before its first byte; it
// appears whole or not at all; what fails leaves nothing behind and says which file system lacks what.
//
//   ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::create(path, bytes, "quantize demo.gguf"));
//   TRY(file.write(data));   // in pieces of any size
//   TRY(file.commit());
//
// A file whose name follows from its content (a blob) is written in a staging folder and committed as its name.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/atomic_file.h"
#include "base/result.h"
#include "disk/guard.h"

namespace hearth::disk {

class NewFile {
 public:
  // `expected_bytes`: at most so many are written; more is promised piece by piece. `what`: see reserve(). `space`: a
  // promise that covers this file and others, which this one takes its part of; else one of its own is made.
  // Errors: kNoSpace, and those of AtomicFile::create().
  static Result<NewFile> create(const std::string& path, uint64_t expected_bytes, std::string_view what,
                                Reservation* space = nullptr);

  // In a folder, without a name: only this process can read it, through fd(), and it goes with this object. It may take
  // what is otherwise kept free.
  static Result<NewFile> unnamed(const std::string& folder, uint64_t expected_bytes, std::string_view what);

  // Appends. Errors: kNoSpace, kIo.
  Status write(std::span<const std::byte> bytes);
  Status write(const void* data, size_t size) { return write({static_cast<const std::byte*>(data), size}); }
  uint64_t size() const { return file_.size(); }
  int fd() const { return file_.fd(); }
  Status flush();  // what was written is in the file, and what was taken beyond it goes back

  Status commit();
  // Under another path, whose folder is made. On another file system its space is promised there, the content is copied
  // and only then does the first one go.
  Status commit_as(const std::string& path);

 private:
  NewFile(AtomicFile file, std::string path, std::string what, uint64_t expected_bytes, Reservation* space);
  static Result<NewFile> begin(NewFile file, std::optional<Reservation> own);
  Status take_space(uint64_t end);
  Reservation& space() { return shared_ != nullptr ? *shared_ : *own_; }

  AtomicFile file_;
  std::string path_, what_;
  uint64_t expected_bytes_ = 0, taken_bytes_ = 0;  // taken: of the file system, from the file's start on
  bool can_take_ = true;                           // the file system has fallocate()
  Stay stay_ = Stay::kLasting;
  std::optional<Reservation> own_;
  Reservation* shared_ = nullptr;
};

// A whole file of which all is known; its folder is made. `what`, `space` and errors as for NewFile.
Status write_file(const std::string& path, std::string_view text, std::string_view what, Reservation* space = nullptr);

// Takes [0, bytes) of the file system for an open file without making it longer, in slices, each of which is promised
// no more. Where the file system has no such call (network, ZFS) the promise stays as it is and *supported is false.
// Errors: kNoSpace (also a quota, which statvfs() does not know of), kIo.
Status allocate(int fd, uint64_t from, uint64_t bytes, const std::string& path, Reservation& space, bool* supported);

// For who could not take space in advance: whether there is so much now, and the file system is not at red. Errors:
// kNoSpace.
Status check_room(const std::string& path, uint64_t bytes);

// Gives a whole file another path, whose folder is there: its name only, or, on another file system, a copy, whose
// space is promised there, and then the first one goes. Errors: kNoSpace, kIo; kInvalidData: the copy has another
// SHA-256 than `hex`, if that is given.
Status move_file(const std::string& from, const std::string& to, std::string_view what, Reservation* space = nullptr,
                 std::string_view hex = {});

// Copies a whole file to `to`, which appears whole or not at all. Returns the
// SHA-256 of what was written, 64 digits. Errors: kNoSpace, kIo.
Result<std::string> copy_file(const std::string& from, const std::string& to, std::string_view what,
                              Reservation* space = nullptr);

}  // namespace hearth::disk
