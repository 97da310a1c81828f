#include "disk/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "disk/findings.h"

namespace hearth::disk {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSlice_bytes = 256 << 20;
constexpr uint64_t kCheck_bytes = 64 << 20;  // where nothing can be taken in advance
constexpr size_t kCopy_bytes = 4 << 20;

std::string parent_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Status make_folder_of(const std::string& path) {
  std::error_code failed;
  fs::create_directories(parent_of(path), failed);
  return failed ? Status(io_error("make the folder of", path, failed.value())) : Status();
}

}  // namespace

Status write_file(const std::string& path, std::string_view text, std::string_view what, Reservation* space) {
  TRY(make_folder_of(path));
  ASSIGN_OR_RETURN(NewFile file, NewFile::create(path, text.size(), what, space));
  TRY(file.write(text.data(), text.size()));
  return file.commit();
}

Status allocate(int fd, uint64_t from, uint64_t bytes, const std::string& path, Reservation& space, bool* supported) {
  *supported = true;
  while (from < bytes) {
    const uint64_t size = std::min(kSlice_bytes, bytes - from);
    const FileOperations& system = file_operations();
    if (system.fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from), static_cast<off_t>(size)) == 0) {
      space.allocated(size);
      from += size;
      continue;
    }
    if (errno == EINTR) continue;
    *supported = errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL;
    if (!*supported) return {};
    const int code = errno;
    note_failure(path, code, false);
    return io_error("take space for", path, code);
  }
  return {};
}

Status check_room(const std::string& path, uint64_t bytes) {
  const auto now = space_of(path);
  if (!now || bytes <= kSmall_bytes) return {};
  if (now->level != Level::kRed && now->facts.free_bytes >= bytes) return {};
  return with_remedy(
      ErrorKind::kNoSpace,
      fmt::format("cannot go on with {}: {} has {} free", path, now->facts.folder, size_text(now->facts.free_bytes)),
      "\"hearth disk\" says what can go and where else there is room");
}

NewFile::NewFile(AtomicFile file, std::string path, std::string what, uint64_t expected_bytes, Reservation* space)
    : file_(std::move(file)),
      path_(std::move(path)),
      what_(std::move(what)),
      expected_bytes_(expected_bytes),
      shared_(space) {}

Result<NewFile> NewFile::create(const std::string& path, uint64_t expected_bytes, std::string_view what,
                                Reservation* space) {
  std::optional<Reservation> own;
  if (space == nullptr) {
    ASSIGN_OR_RETURN(Reservation promised, reserve(path, expected_bytes, what));
    own.emplace(std::move(promised));
  }
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  return begin(NewFile(std::move(file), path, std::string(what), expected_bytes, space), std::move(own));
}

Result<NewFile> NewFile::unnamed(const std::string& folder, uint64_t expected_bytes, std::string_view what) {
  ASSIGN_OR_RETURN(Reservation promised, reserve(folder, expected_bytes, what, Stay::kBrief));
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::unnamed(folder));
  NewFile result(std::move(file), folder, std::string(what), expected_bytes, nullptr);
  result.stay_ = Stay::kBrief;
  return begin(std::move(result), std::move(promised));
}

Result<NewFile> NewFile::begin(NewFile file, std::optional<Reservation> own) {
  file.own_ = std::move(own);
  TRY(file.take_space(std::min(file.expected_bytes_, kSlice_bytes)));
  return file;
}

// So that the file's bytes up to `end` have their place.
Status NewFile::take_space(uint64_t end) {
  if (end <= taken_bytes_) return {};
  if (end > expected_bytes_) {  // more than was said
    const uint64_t more = std::max(end - expected_bytes_, kCheck_bytes);
    ASSIGN_OR_RETURN(Reservation promised,
                     reserve(path_, end > kSmall_bytes ? more : end - expected_bytes_, what_, stay_));
    own_.emplace(std::move(promised));
    shared_ = nullptr;
    expected_bytes_ = end > kSmall_bytes ? expected_bytes_ + more : end;
  }
  const uint64_t to = std::min(std::max(end, taken_bytes_ + kCheck_bytes), expected_bytes_);
  if (can_take_) TRY(allocate(file_.fd(), taken_bytes_, to, path_, space(), &can_take_));
  if (!can_take_) {
    space().allocated(to - taken_bytes_);
    if (stay_ == Stay::kLasting) TRY(check_room(path_, to - taken_bytes_));
  }
  taken_bytes_ = to;
  return {};
}

Status NewFile::write(std::span<const std::byte> bytes) {
  TRY(take_space(file_.size() + bytes.size()));
  return file_.write(bytes);
}

// What was taken beyond the end goes back.
Status NewFile::flush() {
  TRY(file_.flush());
  if (taken_bytes_ <= file_.size() || !can_take_) return {};
  if (::ftruncate(file_.fd(), static_cast<off_t>(file_.size())) != 0) return io_error("write", path_, errno);
  return {};
}

Status NewFile::commit() {
  TRY(flush());
  const Status done = file_.commit();
  if (!done && done.error().kind == ErrorKind::kNoSpace) note_failure(path_, ENOSPC, true);
  own_.reset();
  return done;
}

Status NewFile::commit_as(const std::string& path) {
  TRY(flush());
  TRY(make_folder_of(path));
  struct stat here {
  }, there{};
  const std::string folder = parent_of(path);
  if (::fstat(file_.fd(), &here) != 0) return io_error("look at", path_, errno);
  if (::stat(folder.c_str(), &there) != 0) return io_error("look at", folder, errno);
  if (here.st_dev != there.st_dev) {
    TRY(copy_file(file_.temporary(), path, what_));
    return {};  // this one goes with the object
  }
  return file_.commit_as(path);
}

Status move_file(const std::string& from, const std::string& to, std::string_view what, Reservation* space,
                 std::string_view hex) {
  const FileOperations& system = file_operations();
  if (system.rename(from.c_str(), to.c_str()) == 0) return {};
  if (errno != EXDEV) return io_error("rename to", to, errno);
  ASSIGN_OR_RETURN(const std::string copied, copy_file(from, to, what, space));
  if (!hex.empty() && copied != hex) {
    system.unlink(to.c_str());
    return error(ErrorKind::kInvalidData, "{} has changed on its way to {}", from, to);
  }
  system.unlink(from.c_str());
  return {};
}

Result<std::string> copy_file(const std::string& from, const std::string& to, std::string_view what,
                              Reservation* space) {
  ASSIGN_OR_RETURN(const InputFile source, InputFile::open(from));
  ASSIGN_OR_RETURN(NewFile file, NewFile::create(to, source.size(), what, space));
  std::vector<std::byte> buffer(kCopy_bytes);
  Sha256 hash;
  for (uint64_t at = 0; at < source.size();) {
    const std::span<std::byte> piece(buffer.data(), std::min<uint64_t>(buffer.size(), source.size() - at));
    TRY(source.read(at, piece));
    hash.add(piece);
    TRY(file.write(piece));
    at += piece.size();
  }
  TRY(source.check_unchanged());
  TRY(file.commit());
  return hash.hex();
}

}  // namespace hearth::disk
