#include "gguf/value.h"

#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/load.h"

namespace hearth::gguf {
namespace {

struct TypeInfo {
  const char* name;
  size_t bytes;
};

constexpr TypeInfo kTypes[] = {{"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
                               {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8}};

// Calls visit(number) with the number of this type at `at`, in its own C++ type.
template <class Visit>
auto with_number(Type type, const std::byte* at, Visit&& visit) {
  switch (type) {
    case Type::kU8:
      return visit(load<uint8_t>(at));
    case Type::kI8:
      return visit(load<int8_t>(at));
    case Type::kU16:
      return visit(load<uint16_t>(at));
    case Type::kI16:
      return visit(load<int16_t>(at));
    case Type::kU32:
      return visit(load<uint32_t>(at));
    case Type::kI32:
      return visit(load<int32_t>(at));
    case Type::kU64:
      return visit(load<uint64_t>(at));
    case Type::kI64:
      return visit(load<int64_t>(at));
    case Type::kF32:
      return visit(load<float>(at));
    case Type::kF64:
      return visit(load<double>(at));
    default:
      return visit(load<uint8_t>(at));  // a bool
  }
}

}  // namespace

const char* type_name(Type type) {
  const size_t i = static_cast<size_t>(type);
  return i < std::size(kTypes) ? kTypes[i].name : "unknown";
}

size_t type_bytes(Type type) {
  const size_t i = static_cast<size_t>(type);
  return i < std::size(kTypes) ? kTypes[i].bytes : 0;
}

Value Value::number(Type type, std::span<const std::byte> little_endian) {
  CHECK(type_bytes(type) != 0 && little_endian.size() == type_bytes(type));
  Value value;
  value.type_ = type;
  value.bytes_ = little_endian;
  return value;
}

Value Value::string(std::string_view text) {
  Value value;
  value.type_ = Type::kString;
  value.text_ = text;
  return value;
}

Value Value::numbers(Type element, std::span<const std::byte> little_endian) {
  CHECK(type_bytes(element) != 0 && little_endian.size() % type_bytes(element) == 0);
  Value value;
  value.type_ = Type::kArray;
  value.element_ = element;
  value.bytes_ = little_endian;
  return value;
}

Value Value::strings(std::vector<std::string_view> texts) {
  Value value;
  value.type_ = Type::kArray;
  value.element_ = Type::kString;
  value.strings_ = std::move(texts);
  return value;
}

size_t Value::size() const {
  if (type_ != Type::kArray) return 1;
  return element_ == Type::kString ? strings_.size() : bytes_.size() / type_bytes(element_);
}

std::optional<uint64_t> Value::as_u64() const {
  if (type_bytes(type_) == 0) return {};
  return with_number(type_, bytes_.data(), [](auto number) -> std::optional<uint64_t> {
    if constexpr (std::is_floating_point_v<decltype(number)>) {
      return {};
    } else {
      if (!std::in_range<uint64_t>(number)) return {};
      return static_cast<uint64_t>(number);
    }
  });
}

std::optional<int64_t> Value::as_i64() const {
  if (type_bytes(type_) == 0) return {};
  return with_number(type_, bytes_.data(), [](auto number) -> std::optional<int64_t> {
    if constexpr (std::is_floating_point_v<decltype(number)>) {
      return {};
    } else {
      if (!std::in_range<int64_t>(number)) return {};
      return static_cast<int64_t>(number);
    }
  });
}

std::optional<double> Value::as_f64() const {
  if (type_bytes(type_) == 0) return {};
  return with_number(type_, bytes_.data(), [](auto number) { return std::optional(static_cast<double>(number)); });
}

std::optional<bool> Value::as_bool() const {
  const std::optional<uint64_t> number = as_u64();
  if (!number || *number > 1) return {};
  return *number == 1;
}

std::optional<std::string_view> Value::as_string() const {
  if (type_ != Type::kString) return {};
  return text_;
}

double Value::at_f64(size_t i) const {
  CHECK(is_array() && element_ != Type::kString && i < size());
  return with_number(element_, bytes_.data() + i * type_bytes(element_),
                     [](auto number) { return static_cast<double>(number); });
}

int64_t Value::at_i64(size_t i) const {
  CHECK(is_array() && element_ != Type::kString && i < size());
  return with_number(element_, bytes_.data() + i * type_bytes(element_), [](auto number) -> int64_t {
    if constexpr (std::is_floating_point_v<decltype(number)>) {
      const double value = static_cast<double>(number);  // out of range and NaN: 0, not undefined behaviour
      return value >= -0x1p63 && value < 0x1p63 ? static_cast<int64_t>(value) : 0;
    } else {
      return static_cast<int64_t>(number);
    }
  });
}

}  // namespace hearth::gguf
