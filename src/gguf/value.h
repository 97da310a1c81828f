// One metadata value of a GGUF file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::gguf {

enum class Type : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

const char* type_name(Type type);
// Bytes of a number or bool; 0 for strings and arrays.
size_t type_bytes(Type type);

// A scalar, a string, or an array of numbers or strings (arrays of arrays are refused by the reader).
// Strings and number arrays are views: into what the reader keeps of the file, or into what the writer was given.
class Value {
 public:
  static Value number(Type type, std::span<const std::byte> little_endian);
  static Value string(std::string_view text);
  static Value numbers(Type element, std::span<const std::byte> little_endian);
  static Value strings(std::vector<std::string_view> texts);

  Type type() const { return type_; }
  bool is_array() const { return type_ == Type::kArray; }
  Type element_type() const { return element_; }  // of an array
  size_t size() const;                            // elements of an array; 1 otherwise

  // Scalars; empty if the type or the range does not match. Any integer type (or bool) that fits converts.
  std::optional<uint64_t> as_u64() const;
  std::optional<int64_t> as_i64() const;
  std::optional<double> as_f64() const;  // from floats and integers
  std::optional<bool> as_bool() const;
  std::optional<std::string_view> as_string() const;

  // Arrays. at_*: element i of a number array, converted; strings(): empty span for other arrays.
  double at_f64(size_t i) const;
  int64_t at_i64(size_t i) const;
  std::span<const std::string_view> as_strings() const { return strings_; }
  // The raw little-endian bytes of a number or number array.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  Type type_ = Type::kU8, element_ = Type::kU8;
  std::span<const std::byte> bytes_;
  std::string_view text_;
  std::vector<std::string_view> strings_;
};

}  // namespace hearth::gguf
