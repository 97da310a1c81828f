#include "registry/partial.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "disk/findings.h"
#include "disk/new_file.h"

namespace hearth::registry {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPiece_bytes = 64 << 20;
constexpr uint64_t kSave_bytes = 64 << 20;  // of news before the list of pieces is written again, or so much time
constexpr std::chrono::milliseconds kSave_time{500};
constexpr std::string_view kMark = "hearth-pieces 1 ";
constexpr size_t kMost_pieces = 1 << 20;

std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  return number;
}

std::vector<Piece> cut(uint64_t total, uint64_t piece_bytes) {
  std::vector<Piece> pieces;
  for (uint64_t at = 0; at < total || pieces.empty(); at += piece_bytes)
    pieces.push_back({at, std::min(total, at + piece_bytes), 0});
  return pieces;
}

}  // namespace

Result<std::vector<Piece>> parse_pieces(std::string_view text, uint64_t total) {
  const auto wrong = [](const char* why) { return error(ErrorKind::kInvalidData, "the list of pieces {}", why); };
  if (!text.starts_with(kMark)) return wrong("has another form");
  text.remove_prefix(kMark.size());
  if (take_number(text) != total) return wrong("is of a file of another size");
  std::vector<Piece> pieces;
  while (!text.empty()) {
    const auto begin = take_number(text), end = take_number(text), done = take_number(text);
    if (!begin || !end || !done || pieces.size() > kMost_pieces) return wrong("has another form");
    if (*begin != (pieces.empty() ? 0 : pieces.back().end) || *end < *begin || *end > total || *done > *end - *begin)
      return wrong("has overlaps or gaps");
    pieces.push_back({*begin, *end, *done});
  }
  if (pieces.empty() || pieces.back().end != total) return wrong("is not whole");
  return pieces;
}

std::string pieces_text(const std::vector<Piece>& pieces, uint64_t total) {
  std::string text = fmt::format("{}{}\n", kMark, total);
  for (const Piece& piece : pieces) text += fmt::format("{} {} {}\n", piece.begin, piece.end, piece.done);
  return text;
}

Result<PartialFile> PartialFile::open(const std::string& folder, const std::string& digest, uint64_t total) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return io_error("make", folder, failed.value());
  const std::string path = folder + "/sha256-" + digest.substr(7);
  for (;;) {
    const int fd = file_operations().open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return io_error("create", path, errno);
    PartialFile file(fd, path, total);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      ::close(std::exchange(file.fd_, -1));
      return error(ErrorKind::kBusy, "another process fetches {} already", digest);
    }
    struct stat open {
    }, named{};
    // Who had it may have finished meanwhile: then this is the blob's file now, and no longer a partial one.
    if (::fstat(fd, &open) != 0 || ::stat(path.c_str(), &named) != 0 || open.st_ino != named.st_ino) {
      ::close(std::exchange(file.fd_, -1));
      continue;
    }
    const auto text = read_file(file.pieces_path());
    auto pieces = text ? parse_pieces(*text, total) : Result<std::vector<Piece>>(text.error());
    // Bytes that a list says are there and the file does not have were lost with the power.
    if (pieces)
      for (const Piece& piece : *pieces)
        if (piece.done > 0 && piece.begin + piece.done > static_cast<uint64_t>(open.st_size))
          pieces = error(ErrorKind::kInvalidData, "the file is shorter");
    file.pieces_ = pieces ? *std::move(pieces) : cut(total, kPiece_bytes);
    file.taken_.assign(file.pieces_.size(), false);
    return file;
  }
}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      total_(other.total_),
      pieces_(std::move(other.pieces_)),
      taken_(std::move(other.taken_)),
      unsaved_bytes_(other.unsaved_bytes_),
      space_(other.space_) {}

PartialFile::~PartialFile() {
  if (fd_ < 0) return;
  if (done() == 0) {  // nothing that would be worth its space
    discard();
  } else {
    save();
    ::close(fd_);
  }
}

uint64_t PartialFile::allocated() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return 0;
  return std::min<uint64_t>(static_cast<uint64_t>(info.st_blocks) * 512, total_);
}

Status PartialFile::allocate(disk::Reservation& space) {
  bool supported = true;
  // What a pull that was interrupted has taken already was not promised anew.
  const uint64_t before = allocated();
  const Status done = take_all(&supported);
  if (!done) {
    [[maybe_unused]] const int cut_off = ::ftruncate(fd_, static_cast<off_t>(done_end()));  // what ext4 keeps of it
    return done;
  }
  if (supported) space.allocated(total_ - before);
  if (!supported) space_ = &space;
  return {};
}

Status PartialFile::take_all(bool* supported) {
  while (total_ > 0) {
    if (file_operations().fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(total_)) == 0) return {};
    const int code = errno;
    if (code == EINTR) continue;
    *supported = code != EOPNOTSUPP && code != ENOSYS && code != EINVAL;
    if (!*supported) return {};
    disk::note_failure(path_, code, false);
    return io_error("take space for", path_, code);
  }
  return {};
}

uint64_t PartialFile::done_end() const {
  uint64_t end = 0;
  for (const Piece& piece : pieces_)
    if (piece.done > 0) end = piece.begin + piece.done;
  return end;
}

uint64_t PartialFile::done() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const Piece& piece : pieces_) sum += piece.done;
  return sum;
}

uint64_t PartialFile::prefix() const {
  const std::lock_guard lock(mutex_);
  uint64_t end = 0;
  for (const Piece& piece : pieces_) {
    end = piece.begin + piece.done;
    if (piece.missing() > 0) break;
  }
  return end;
}

std::optional<size_t> PartialFile::take() {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (taken_[i] || pieces_[i].missing() == 0) continue;
    taken_[i] = true;
    return i;
  }
  return std::nullopt;
}

Piece PartialFile::piece(size_t number) const {
  const std::lock_guard lock(mutex_);
  return pieces_[number];
}

void PartialFile::give_back(size_t number) {
  const std::lock_guard lock(mutex_);
  taken_[number] = false;
}

Status PartialFile::write(size_t number, std::string_view bytes) {
  Piece at = piece(number);
  if (bytes.size() > at.missing()) return error(ErrorKind::kInvalidData, "more comes than was asked for");
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t n = file_operations().pwrite(fd_, bytes.data() + written, bytes.size() - written,
                                               static_cast<off_t>(at.begin + at.done + written));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      disk::note_failure(path_, code, false);
      return io_error("write", path_, code);
    }
    written += static_cast<size_t>(n);
  }
  if (space_ != nullptr) TRY(note_taken(bytes.size()));
  bool saves = false;
  {
    const std::lock_guard lock(mutex_);
    pieces_[number].done += bytes.size();
    unsaved_bytes_ += bytes.size();
    const auto now = std::chrono::steady_clock::now();
    saves = unsaved_bytes_ >= kSave_bytes || now - saved_ >= kSave_time;
    if (saves) unsaved_bytes_ = 0;
    if (saves) saved_ = now;
  }
  if (saves) save();
  return {};
}

// Where space could not be taken in advance, whether there still is some is looked at now and then.
Status PartialFile::note_taken(uint64_t bytes) {
  space_->allocated(bytes);
  if ((unchecked_bytes_ += bytes) < kSave_bytes) return {};
  unchecked_bytes_ = 0;
  return disk::check_room(path_, std::min(kSave_bytes, total_ - std::min(total_, done())));
}

Status PartialFile::read(uint64_t at, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t n = ::pread(fd_, to.data(), to.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("read", path_, errno);
    if (n == 0) return error(ErrorKind::kIo, "cannot read {}: it has become shorter", path_);
    at += static_cast<uint64_t>(n);
    to = to.subspan(static_cast<size_t>(n));
  }
  return {};
}

// What cannot be noted is fetched once more: no reason to stop.
void PartialFile::save() {
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    text = pieces_text(pieces_, total_);
  }
  (void)disk::write_file(pieces_path(), text, "the list of pieces").ok();
}

void PartialFile::restart(bool in_one_piece) {
  const std::lock_guard lock(mutex_);
  pieces_ = cut(total_, in_one_piece ? std::max<uint64_t>(total_, 1) : kPiece_bytes);
  taken_.assign(pieces_.size(), false);
}

Status PartialFile::commit(const std::string& path, disk::Reservation* space) {
  const FileOperations& system = file_operations();
  Status done;
  if (::ftruncate(fd_, static_cast<off_t>(total_)) != 0) done = io_error("write", path_, errno);
  if (done && system.fsync(fd_) != 0) {
    const int code = errno;
    disk::note_failure(path_, code, true);
    done = io_error("write", path_, code);
    discard();  // what the system has lost once it says nothing of again
    return done;
  }
  if (done) done = disk::move_file(path_, path, "pull", space, fs::path(path_).filename().string().substr(7));
  if (!done) return done;
  ::unlink(pieces_path().c_str());
  ::close(std::exchange(fd_, -1));
  return sync_folder(fs::path(path).parent_path().string());
}

void PartialFile::discard() {
  if (fd_ < 0) return;
  ::unlink(pieces_path().c_str());
  file_operations().unlink(path_.c_str());
  ::close(std::exchange(fd_, -1));
}

namespace {

// The lock tells whether somebody writes it; who has it may delete it.
template <class Use>
void for_each_partial(const std::string& folder, Use use) {
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with("sha256-") || name.size() != 7 + 64) continue;
    const std::string path = it->path().string();
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat info {};
    if (fd < 0) continue;
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
      PartialInfo partial{.digest = "sha256:" + name.substr(7), .modified = info.st_mtim.tv_sec};
      partial.disk_bytes = static_cast<uint64_t>(info.st_blocks) * 512;
      partial.in_use = ::flock(fd, LOCK_EX | LOCK_NB) != 0;
      if (const auto text = read_file(path + ".pieces")) {
        std::string_view rest = std::string_view(*text).substr(std::min(kMark.size(), text->size()));
        partial.total = take_number(rest).value_or(0);
        if (const auto pieces = parse_pieces(*text, partial.total))
          for (const Piece& piece : *pieces) partial.done += piece.done;
      }
      use(path, partial);
    }
    ::close(fd);
  }
}

}  // namespace

std::vector<PartialInfo> list_partials(const std::string& folder) {
  std::vector<PartialInfo> list;
  for_each_partial(folder, [&](const std::string&, const PartialInfo& partial) { list.push_back(partial); });
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.modified > b.modified; });
  return list;
}

uint64_t remove_partials(const std::string& folder, int64_t older_than_s) {
  uint64_t bytes = 0;
  const int64_t now = std::time(nullptr);
  for_each_partial(folder, [&](const std::string& path, const PartialInfo& partial) {
    if (partial.in_use || std::max<int64_t>(now - partial.modified, 0) < older_than_s) return;
    ::unlink((path + ".pieces").c_str());
    if (::unlink(path.c_str()) == 0) bytes += partial.disk_bytes;
  });
  return bytes;
}

}  // namespace hearth::registry
