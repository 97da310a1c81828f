// Reads safetensors files: names, types and places of tensors. Nothing in the header is trusted.
// Format: https://github.com/huggingface/safetensors (README.md, "Format"): 8 bytes with the header's size, a JSON
// object, then the tensors' bytes without gaps.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace hearth::convert {

// A type of numbers, as the header names it.
struct Dtype {
  std::string_view name;
  uint32_t bytes;
  void (*decode)(const std::byte* in, size_t count, float* out);  // null for what is no weight (integers)
};
const Dtype* find_dtype(std::string_view name);  // null if there is none

// shape[0] is the outermost dimension: a matrix is {rows, columns}.
struct Safetensor {
  std::string name;
  const Dtype* dtype;
  std::vector<uint64_t> shape;
  uint64_t offset;  // from the start of the file
  uint64_t values;  // how many numbers

  uint64_t bytes() const { return values * dtype->bytes; }
};

// What a file's first bytes say, `file_bytes` being its size: how long the header behind them is. Errors: kInvalidData.
Result<uint64_t> safetensors_header_bytes(std::span<const std::byte> first_eight, uint64_t file_bytes,
                                          const std::string& name);
// The tensors of a header (the JSON text), in the order of their places. Errors: kInvalidData, kUnsupported (a type).
Result<std::vector<Safetensor>> parse_safetensors_header(std::string_view header, uint64_t file_bytes,
                                                         const std::string& name);

class SafetensorsFile {
 public:
  // Errors: kNotFound, kIo, kInvalidData, kUnsupported; all name the file.
  static Result<std::unique_ptr<SafetensorsFile>> open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::vector<Safetensor>& tensors() const { return tensors_; }
  // Where a tensor's bytes are in memory. What was read there counts only if check() says so afterwards.
  const std::byte* bytes(const Safetensor& tensor) const { return mapped_.bytes().data() + tensor.offset; }
  void bring_in(const Safetensor& tensor) const;
  // kIo if the file was cut or written to since it was opened.
  Status check() const;

 private:
  SafetensorsFile(InputFile file, MappedFile mapped) : file_(std::move(file)), mapped_(std::move(mapped)) {}

  InputFile file_;
  MappedFile mapped_;
  std::vector<Safetensor> tensors_;
};

}  // namespace hearth::convert
