// Where the bytes of one GGUF file are: a file on disk, or memory.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace hearth::gguf {

class Source {
 public:
  static Result<std::unique_ptr<Source>> open(const std::string& path);
  // Bytes that outlive the Source; `name` is for messages.
  static std::unique_ptr<Source> of_memory(std::span<const std::byte> bytes, const std::string& name);

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }

  // These bytes, which must lie inside, copied to memory that stays as long as the Source: whatever happens to the
  // file, what points to them stays good. To be called with rising `at`, while the header is read. Errors: kIo,
  // kNoMemory.
  Result<std::span<const std::byte>> keep(uint64_t at, uint64_t size);
  // What of it is in memory already from `at` on, without a gap; may be empty.
  std::span<const std::byte> kept_from(uint64_t at) const;
  // Fills `to` from `at` on. Errors: kIo. Any thread.
  Status read(uint64_t at, std::span<std::byte> to) const;
  void read_ahead(uint64_t at, uint64_t bytes) const;
  // Where all of it can be read in place; mapped when it is first asked for. Errors: kIo, kNoMemory. Any thread.
  Result<const std::byte*> map() const;
  // Mapped bytes come into memory, at once.
  void bring_in(uint64_t at, uint64_t bytes) const;
  // kIo if the file was cut or written to since it was opened, so that what was read of it cannot be trusted.
  Status check() const;
  bool is_mapped() const;

 private:
  // A piece of the file in memory; `at` is where it begins there.
  struct Piece {
    uint64_t at, size;
    std::unique_ptr<std::byte[]> bytes;
  };

  std::string name_;
  uint64_t size_ = 0;
  std::span<const std::byte> memory_;
  std::optional<InputFile> file_;
  std::vector<Piece> kept_;
  mutable std::mutex mapping_mutex_;
  mutable std::optional<MappedFile> mapping_;
};

}  // namespace hearth::gguf
