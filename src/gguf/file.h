// Reads GGUF files (versions 2 and 3, one file or a split set) and validates all of it: no length,
// offset or count is trusted. Names and metadata are copied, so that they stay what they were when another program cuts
// or overwrites the file; reading weights of such a file is an error.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "gguf/source.h"
#include "gguf/value.h"
#include "quant/format.h"

namespace hearth::gguf {

inline constexpr int kMaxDimensions = 4;

// A tensor in a file. shape[0] is the innermost (contiguous) dimension: a matrix of R rows and
// C columns has shape {C, R}. Unused dimensions are 1.
struct Tensor {
  std::string name;
  const quant::Format* format;
  int dimensions;
  std::array<uint64_t, kMaxDimensions> shape;
  uint32_t part;    // its file, counted from 0
  uint64_t offset;  // of its bytes, from the start of that file; all of them lie inside
  uint64_t bytes;

  uint64_t values() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
};

struct Split;

class File {
 public:
  // Opens one file, or every file of a split set given its first. Errors: kNotFound, kIo,
  // kInvalidData (file, offset and reason), kUnsupported (version or tensor type, by name), kUsage (a
  // later part of a split set).
  static Result<std::shared_ptr<const File>> open(const std::string& path);

  // Parses bytes that stay alive as long as the File; `name` is for messages. For tests and fuzzing.
  // Of a split set, this one part.
  static Result<std::shared_ptr<const File>> parse(std::span<const std::byte> bytes, const std::string& name);

  // The same weights as another converter would have named them: `name` gives each tensor's name, and `metadata` comes
  // before this file's, of which it hides what has the same key; its values must stay as long as the program.
  std::shared_ptr<const File> renamed(const std::vector<std::pair<std::string, Value>>& metadata,
                                      const std::function<std::string(const std::string&)>& name) const;

  uint32_t version() const { return version_; }
  const std::string& path() const { return path_; }    // the first file's
  std::vector<std::string> part_paths() const;         // of all files of the set, the first included
  uint64_t file_bytes() const { return file_bytes_; }  // of all files of the set

  // In file order.
  const std::vector<std::pair<std::string, Value>>& metadata() const { return metadata_; }
  const Value* find(std::string_view key) const;  // null if absent

  // Typed look-ups. Missing or wrong type: an error (kInvalidData) that names file and key.
  Result<uint64_t> get_u64(std::string_view key) const;
  Result<double> get_f64(std::string_view key) const;
  Result<std::string_view> get_string(std::string_view key) const;
  // The value, or `fallback` if the key is absent (or of another type).
  uint64_t u64_or(std::string_view key, uint64_t fallback) const;
  double f64_or(std::string_view key, double fallback) const;
  bool bool_or(std::string_view key, bool fallback) const;
  std::string_view string_or(std::string_view key, std::string_view fallback) const;

  const std::vector<Tensor>& tensors() const { return tensors_; }
  const Tensor* tensor(std::string_view name) const;  // null if absent

  // Fills `to` with the tensor's bytes from `at` on. Errors: kIo naming the file, which may be shorter by now. Any
  // thread.
  Status read(const Tensor& tensor, uint64_t at, std::span<std::byte> to) const;
  // The system begins to read these bytes, and what lies behind them in the file; nobody waits.
  void read_ahead(const Tensor& tensor, uint64_t at, uint64_t bytes) const;
  // Where its bytes can be read in place; its file is mapped when that is first asked for. What was computed from them
  // is only good if check_mapped() says so afterwards. Errors: kIo, kNoMemory.
  Result<const uint8_t*> map(const Tensor& tensor) const;
  // Those of its bytes that are mapped come into memory, at once.
  void bring_in(const Tensor& tensor) const;
  // kIo naming the file, if one of the set was cut or written to since it was opened: what was read of it since then
  // cannot be trusted. check_mapped(): of files that are mapped only.
  Status check() const;
  Status check_mapped() const;

 private:
  friend class Parser;
  Status read_part(std::unique_ptr<Source> source, Split* split);
  Status open_part(const std::string& path, Split* split);
  Status open_other_parts(const Split& first);

  std::string path_;
  uint32_t version_ = 0;
  uint64_t file_bytes_ = 0;
  std::vector<std::shared_ptr<Source>> parts_;  // hold what the views below point to
  std::vector<std::pair<std::string, Value>> metadata_;
  std::unordered_map<std::string_view, size_t> metadata_index_;
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string_view, size_t> tensor_index_;
};

}  // namespace hearth::gguf
