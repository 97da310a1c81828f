#include "store/blobs.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "disk/findings.h"
#include "store/tiers.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRead_bytes = 4 << 20;
constexpr std::string_view kBegin = "create-";

// Folders whose owners have died.
void remove_leftovers(const fs::path& staging) {
  std::error_code failed;
  for (fs::directory_iterator it(staging, failed), end; !failed && it != end; it.increment(failed)) {
    if (!it->path().filename().string().starts_with(kBegin) || !it->is_directory(failed) || it->is_symlink(failed))
      continue;
    const int fd = ::open(it->path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    std::error_code ignored;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) fs::remove_all(it->path(), ignored);
    ::close(fd);
  }
}

}  // namespace

std::string blob_path(const std::string& folder, std::string_view digest) {
  const std::string hex(digest.substr(7));
  std::error_code failed;
  const fs::path usual = fs::path(folder) / "blobs" / ("sha256-" + hex),
                 old = fs::path(folder) / "blobs" / ("sha256:" + hex);
  return !fs::exists(usual, failed) && fs::exists(old, failed) ? old.string() : usual.string();
}

Result<std::string> digest_of_file(const std::string& path, const std::function<Status(uint64_t done)>& progress) {
  ASSIGN_OR_RETURN(const InputFile file, InputFile::open(path));
  Sha256 hash;
  std::vector<std::byte> buffer(std::min<uint64_t>(kRead_bytes, file.size()));
  for (uint64_t at = 0; at < file.size();) {
    const std::span<std::byte> piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), file.size() - at));
    file.read_ahead(at + piece.size(), piece.size());
    TRY(file.read(at, piece));
    hash.add(piece);
    at += piece.size();
    if (progress) TRY(progress(at));
  }
  TRY(file.check_unchanged());
  return "sha256:" + hash.hex();
}

std::string digest_of_text(std::string_view text) {
  return "sha256:" + sha256_hex(text);
}

Result<NewBlob> NewBlob::create(const std::string& folder, std::string_view digest, uint64_t expected_bytes) {
  if (!is_digest(digest)) return error(ErrorKind::kUsage, "invalid digest format");
  const std::string staging = (fs::path(folder) / "hearth" / "staging").string();
  TRY(disk::probe(staging));
  const std::string plain = plain_digest(std::string(digest)), what = "the upload of " + plain.substr(0, 19);
  ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::create(staging + "/upload", expected_bytes, what));
  return NewBlob(std::move(file), blob_path(folder, plain), plain.substr(7));
}

Status NewBlob::write(std::string_view bytes) {
  hash_.add(std::as_bytes(std::span(bytes)));
  return file_.write(bytes.data(), bytes.size());
}

Status NewBlob::commit() {
  if (const std::string actual = hash_.hex(); actual != hex_)
    return error(ErrorKind::kUsage, "digest mismatch, expected \"sha256:{}\", got \"sha256:{}\"", hex_, actual);
  return file_.commit_as(path_);
}

Status write_manifest(const std::string& folder, const std::string& path, std::string_view text,
                      std::string_view what) {
  const std::string staged = own_folder(folder) + "/manifest-" + sha256_hex(text).substr(0, 16);
  std::error_code failed;
  fs::create_directories(own_folder(folder), failed);
  ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::create(staged, text.size(), what));
  TRY(file.write(text.data(), text.size()));
  return file.commit_as(path);
}

StoreLock::StoreLock(const std::string& folder) {
  std::error_code failed;
  fs::create_directories(fs::path(folder) / "hearth", failed);
  fd_ = ::open((fs::path(folder) / "hearth" / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

StoreLock::~StoreLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Staging> Staging::create(const std::string& store) {
  const fs::path staging = staging_folder(store);
  TRY(disk::probe(staging.string()));
  remove_leftovers(staging);
  constexpr int kMost_tries = 10;
  for (int i = 0; i < kMost_tries; ++i) {
    Staging made;
    std::string name = (staging / (std::string(kBegin) + "XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) return io_error("create", name, errno);
    made.folder_ = name;
    made.fd_ = ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // Before the lock somebody may have taken the new folder for a leftover.
    std::error_code failed;
    if (made.fd_ >= 0 && ::flock(made.fd_, LOCK_EX | LOCK_NB) == 0 && fs::exists(name, failed)) return made;
  }
  return io_error("create", staging.string(), EEXIST);
}

Staging::Staging(Staging&& other) noexcept
    : folder_(std::exchange(other.folder_, std::string())), fd_(std::exchange(other.fd_, -1)) {}

Staging::~Staging() {
  std::error_code failed;
  if (!folder_.empty()) fs::remove_all(folder_, failed);
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace hearth::store
