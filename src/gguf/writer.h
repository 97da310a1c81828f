// Writes a GGUF file (version 3). First everything is declared, then the data of the tensors is
// streamed in the order of their declaration, so that no model has to fit in memory:
//
//   Writer writer;
//   writer.set_string("general.architecture", "llama");
//   writer.add_tensor("output.weight", *format, {columns, rows});
//   TRY(writer.begin(path));
//   TRY(writer.write(data));  // in pieces of any size
//   TRY(writer.finish());
//
// The file appears under its name only when it is whole, and its space is taken before its first byte. Format: see file.h.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "disk/new_file.h"
#include "gguf/value.h"
#include "quant/format.h"

namespace hearth::gguf {

class Writer {
 public:
  // Metadata is written in the order of the first set() of each key; a later one replaces the value.
  // Values are copied. `general.alignment` (a power of two) also decides where tensors start.
  void set(std::string_view key, const Value& value);
  void set_u32(std::string_view key, uint32_t value);
  void set_f32(std::string_view key, float value);
  void set_bool(std::string_view key, bool value);
  void set_string(std::string_view key, std::string_view value);
  void set_strings(std::string_view key, std::vector<std::string_view> values);

  // shape[0] is the innermost dimension, a whole number of the format's blocks. Names must be unique.
  void add_tensor(std::string_view name, const quant::Format& format, std::span<const uint64_t> shape);

  // The whole file's size, known before anything is written.
  uint64_t file_bytes() const;

  // Writes all that was declared; nothing can be declared afterwards. Errors: as disk::NewFile's.
  Status begin(const std::string& path);
  // The next bytes of the current tensor; never beyond its end. Padding is added between tensors.
  Status write(std::span<const std::byte> bytes);
  // After the last byte of the last tensor: makes the file appear.
  Status finish();

 private:
  struct Declared {
    std::string name;
    const quant::Format* format;
    std::vector<uint64_t> shape;
    uint64_t bytes;
  };

  std::string header() const;
  uint64_t data_bytes() const;

  uint64_t alignment_ = 32;
  std::vector<std::pair<std::string, std::string>> metadata_;  // key, encoded type and value
  std::vector<Declared> tensors_;
  std::optional<disk::NewFile> file_;
  size_t tensor_ = 0;     // the one being written
  uint64_t written_ = 0;  // bytes of it
};

}  // namespace hearth::gguf
