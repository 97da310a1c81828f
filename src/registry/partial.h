// A file that arrives in pieces, several at a time, and goes on where it was after whatever ended it. It lies beside
// the store's blobs and not among them, where Ollama would delete it:
//
//   <store>/hearth/partial/sha256-<64 hex>         its bytes, where they belong
//   <store>/hearth/partial/sha256-<64 hex>.pieces  which are there: "hearth-pieces 1 TOTAL", then "BEGIN END DONE"
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "disk/guard.h"

namespace hearth::registry {

// [begin, end), of which the first `done` bytes are there.
struct Piece {
  uint64_t begin = 0, end = 0, done = 0;
  uint64_t missing() const { return end - begin - done; }
};
// Of the text of a .pieces file, for a file of `total` bytes. Errors: kInvalidData: pieces overlap, have gaps or more
// than their length; it is of a file of another size.
Result<std::vector<Piece>> parse_pieces(std::string_view text, uint64_t total);
std::string pieces_text(const std::vector<Piece>& pieces, uint64_t total);

class PartialFile {
 public:
  // Of a digest, "sha256:<64 hex>". While this object lives no other process writes it. Errors: kBusy: another one
  // does; kIo, kNoSpace.
  static Result<PartialFile> open(const std::string& folder, const std::string& digest, uint64_t total);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();  // notes what is there

  // Bytes of it that take no more space.
  uint64_t allocated() const;
  // Takes all of its space, out of what is promised.
  Status allocate(disk::Reservation& space);

  // Any thread, from here to read().
  uint64_t total() const { return total_; }
  uint64_t done() const;
  uint64_t prefix() const;  // from the beginning without a gap
  // The first piece that nobody has; its number is to be given back.
  std::optional<size_t> take();
  Piece piece(size_t number) const;
  void give_back(size_t number);
  // At the end of what the piece has. Errors: kIo, kNoSpace; kInvalidData: beyond its end.
  Status write(size_t number, std::string_view bytes);
  Status read(uint64_t at, std::span<std::byte> to) const;

  // For who cannot send pieces: all of it is one, of which nothing is there. Nobody must have one.
  void restart(bool in_one_piece);
  // Makes it durable under its name; `space`: a promise for it where that is on another file system. Errors: kIo,
  // kNoSpace: if it cannot be trusted any more, it is gone; kInvalidData.
  Status commit(const std::string& path, disk::Reservation* space = nullptr);
  void discard();

 private:
  PartialFile(int fd, std::string path, uint64_t total) : fd_(fd), path_(std::move(path)), total_(total) {}
  std::string pieces_path() const { return path_ + ".pieces"; }
  void save();
  Status take_all(bool* supported);
  Status note_taken(uint64_t bytes);
  uint64_t done_end() const;

  int fd_ = -1;
  std::string path_;
  uint64_t total_ = 0;
  mutable std::mutex mutex_;
  std::vector<Piece> pieces_;
  std::vector<bool> taken_;
  uint64_t unsaved_bytes_ = 0;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
  disk::Reservation* space_ = nullptr;         // what writes take from, where space cannot be taken in advance
  std::atomic<uint64_t> unchecked_bytes_ = 0;  // of those
};

// What lies in a folder of partial files.
struct PartialInfo {
  std::string digest;  // "sha256:..."
  uint64_t total = 0, done = 0, disk_bytes = 0;
  int64_t modified = 0;  // seconds since 1970
  bool in_use = false;
};
std::vector<PartialInfo> list_partials(const std::string& folder);
// Those that nobody writes and that are older than so many seconds; the bytes that became free.
uint64_t remove_partials(const std::string& folder, int64_t older_than_s);

}  // namespace hearth::registry
