// The steps of reading one GGUF file; private to gguf.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/result.h"
#include "gguf/file.h"

namespace hearth::gguf {

// Sizes that no model comes near; they bound what a hostile file can make us allocate.
inline constexpr uint64_t kMaxMetadata = 1 << 20;
inline constexpr uint64_t kMaxTensors = 1 << 20;
inline constexpr uint64_t kMaxKey_bytes = 65535;

// What a part of a split set says of itself. count is 1 and tensors 0 in a file that is whole.
struct Split {
  uint64_t number = 0, count = 1, tensors = 0;
};

class Parser {
 public:
  // Reads `source`, part number `part` of `file`, and appends its tensors to `file`; also its metadata if `file` has no
  // metadata yet. Both point into what `source` keeps.
  Parser(Source& source, uint32_t part, File& file) : source_(source), name_(source.name()), part_(part), file_(file) {}

  Status run();
  const Split& split() const { return split_; }  // after run()

 private:
  Status read_header();
  Status read_metadata();
  Status read_tensors();
  Status place_tensors();
  Status check_overlaps() const;

  Result<std::span<const std::byte>> read_bytes(uint64_t size, const char* what);
  Result<uint64_t> read_u32(const char* what);
  Result<uint64_t> read_u64(const char* what);
  Result<std::string_view> read_string(const char* what);
  std::optional<std::string_view> kept_string();
  Result<Value> read_value(std::string_view key, uint64_t type);
  Result<Value> read_array(std::string_view key);
  Result<Value> read_strings(std::string_view key, uint64_t count);
  Status check_bools(std::string_view key, std::span<const std::byte> bytes, uint64_t at) const;
  Status interpret(std::string_view key, const Value& value, uint64_t at);
  Result<Tensor> read_tensor(std::string_view* name);
  Status set_format(Tensor& tensor, uint64_t type, uint64_t at) const;

  uint64_t remaining() const { return source_.size() - at_; }

  // Errors that name file and byte offset.
  template <class... Args>
  Error invalid(uint64_t at, fmt::format_string<Args...> format, Args&&... args) const {
    return error(ErrorKind::kInvalidData, "{}: byte {}: {}", name_, at, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  Error unsupported(uint64_t at, fmt::format_string<Args...> format, Args&&... args) const {
    return error(ErrorKind::kUnsupported, "{}: byte {}: {}", name_, at, fmt::format(format, std::forward<Args>(args)...));
  }

  Source& source_;
  const std::string& name_;
  const uint32_t part_;
  File& file_;
  uint64_t at_ = 0;
  uint64_t metadata_count_ = 0, tensor_count_ = 0;
  uint64_t alignment_ = 32;
  std::vector<std::pair<std::string, Value>> metadata_;
  std::unordered_map<std::string_view, size_t> metadata_index_;
  size_t first_tensor_ = 0;                                      // of this part, in file_
  Split split_;
};

// A name from a file as it may appear in a message: short, without control characters.
std::string printable(std::string_view text);

}  // namespace hearth::gguf
