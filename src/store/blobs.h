// The blobs of a store: files named by what they hold.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/sha256.h"
#include "disk/new_file.h"
#include "store/manifest.h"

namespace hearth::store {

// Where the blob of a digest is in a folder (in either spelling of its name), or would be.
std::string blob_path(const std::string& folder, std::string_view digest);

// "sha256:<64 hex>" of a file. `progress` gets the bytes that are read; an error of it ends the work. Errors:
// kNotFound, kIo.
Result<std::string> digest_of_file(const std::string& path, const std::function<Status(uint64_t done)>& progress = {});
std::string digest_of_text(std::string_view text);

// A blob that arrives in pieces: it is hashed as it comes, and is in the store when all is there.
class NewBlob {
 public:
  // `expected_bytes`: 0 where it is not known. Errors: kUsage (the digest is none), kIo, kNoSpace.
  static Result<NewBlob> create(const std::string& folder, std::string_view digest, uint64_t expected_bytes);
  // Errors: kIo, kNoSpace.
  Status write(std::string_view bytes);
  // Errors: kUsage (it has another digest), kIo, kNoSpace.
  Status commit();

 private:
  NewBlob(disk::NewFile file, std::string path, std::string hex)
      : file_(std::move(file)), path_(std::move(path)), hex_(std::move(hex)) {}

  disk::NewFile file_;
  Sha256 hash_;
  std::string path_, hex_;
};

// Puts a manifest in its place in a store. What is unfinished lies elsewhere: a half one among manifests would be one
// that nobody can read. Errors: kIo, kNoSpace.
Status write_manifest(const std::string& folder, const std::string& path, std::string_view text, std::string_view what);

// Held while blobs and the manifest that uses them are put in place, and while blobs are removed: so no one's blob is
// taken for garbage before its manifest is there. Waits for others, of other processes too. Where the folder cannot be
// locked, nobody is kept out.
class StoreLock {
 public:
  explicit StoreLock(const std::string& folder);
  StoreLock(const StoreLock&) = delete;
  ~StoreLock();

 private:
  int fd_ = -1;
};

// A folder inside the store's for what is not yet whole; removed with the object, and by the next one if this process
// dies.
class Staging {
 public:
  // Errors: kIo, which names the part of the path that is to blame.
  static Result<Staging> create(const std::string& store);
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&&) = delete;
  ~Staging();
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  const std::string& folder() const { return folder_; }

 private:
  Staging() = default;
  std::string folder_;
  int fd_ = -1;  // locked as long as this lives
};

}  // namespace hearth::store
