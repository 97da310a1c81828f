// Writes safetensors files by hand, byte by byte, so that the reader is tested against the format.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/half.h"

namespace hearth::test {

class SafetensorsWriter {
 public:
  void add(const std::string& name, const std::string& dtype, const std::vector<uint64_t>& shape, std::string bytes) {
    entries_.push_back({name, dtype, shape, std::move(bytes)});
  }
  void add_f32(const std::string& name, const std::vector<uint64_t>& shape, const std::vector<float>& values) {
    add(name, "F32", shape, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  void add_f16(const std::string& name, const std::vector<uint64_t>& shape, const std::vector<float>& values) {
    add(name, "F16", shape, halves(values, float_to_half));
  }
  void add_bf16(const std::string& name, const std::vector<uint64_t>& shape, const std::vector<float>& values) {
    add(name, "BF16", shape, halves(values, float_to_bfloat));
  }

  std::string bytes() const {
    namespace json = boost::json;
    json::object header{{"__metadata__", json::object{{"format", "pt"}}}};
    std::string data;
    for (const Entry& entry : entries_) {
      const uint64_t begin = data.size();
      data += entry.bytes;
      header[entry.name] = json::object{{"dtype", entry.dtype},
                                        {"shape", json::array(entry.shape.begin(), entry.shape.end())},
                                        {"data_offsets", json::array{begin, data.size()}}};
    }
    const std::string text = json::serialize(header);
    const uint64_t size = text.size();
    return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text + data;
  }
  void write(const std::string& path) const { std::ofstream(path, std::ios::binary) << bytes(); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) names.push_back(entry.name);
    return names;
  }

 private:
  struct Entry {
    std::string name, dtype;
    std::vector<uint64_t> shape;
    std::string bytes;
  };
  static std::string halves(const std::vector<float>& values, uint16_t (*convert)(float)) {
    std::string out;
    for (const float value : values) {
      const uint16_t half = convert(value);
      out.append(reinterpret_cast<const char*>(&half), sizeof half);
    }
    return out;
  }
  std::vector<Entry> entries_;
};

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace hearth::test
