// A GGUF file put together by hand, byte by byte, so that the reader is tested against the format and not
// against our writer, and so that every part can be wrong.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gguf/file.h"

namespace hearth::gguf::test {

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

inline std::string raw_string(const std::string& text) { return raw(uint64_t{text.size()}) + text; }

// A metadata value: type number and bytes.
template <class T>
std::string value_of(uint32_t type, T value) {
  return raw(type) + raw(value);
}
inline std::string string_value(const std::string& text) { return raw(uint32_t{8}) + raw_string(text); }
inline std::string array_value(uint32_t element_type, uint64_t count, const std::string& bytes) {
  return raw(uint32_t{9}) + raw(element_type) + raw(count) + bytes;
}

struct DraftTensor {
  std::string name;
  std::vector<uint64_t> shape;
  uint32_t type;
  uint64_t offset;
  uint64_t bytes;
};

struct Draft {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> tensor_count, metadata_count;  // the true ones unless set
  std::vector<std::pair<std::string, std::string>> metadata = {{"general.architecture", string_value("llama")},
                                                               {"llama.block_count", value_of<uint32_t>(4, 7)}};
  std::vector<DraftTensor> tensors = {{"a.weight", {32, 2}, 8, 0, 68},     // Q8_0: two rows of one block
                                      {"b.weight", {5}, 0, 96, 20}};       // F32
  uint64_t alignment = 32;
  std::string data;  // made of 'x' unless set

  std::string bytes() const {
    std::string out = magic + raw(version) + raw(tensor_count.value_or(tensors.size())) +
                      raw(metadata_count.value_or(metadata.size()));
    for (const auto& [key, value] : metadata) out += raw_string(key) + value;
    uint64_t data_bytes = 0;
    for (const DraftTensor& tensor : tensors) {
      out += raw_string(tensor.name) + raw(static_cast<uint32_t>(tensor.shape.size()));
      for (const uint64_t n : tensor.shape) out += raw(n);
      out += raw(tensor.type) + raw(tensor.offset);
      data_bytes = std::max(data_bytes, tensor.offset + tensor.bytes);
    }
    out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
    return out + (data.empty() ? std::string(data_bytes, 'x') : data);
  }
};

// All bytes of a tensor; none if they cannot be read.
inline std::vector<uint8_t> tensor_bytes(const File& file, const Tensor& tensor) {
  std::vector<uint8_t> bytes(tensor.bytes);
  return file.read(tensor, 0, std::as_writable_bytes(std::span(bytes))) ? bytes : std::vector<uint8_t>();
}

inline std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace hearth::gguf::test
