// NumPy's .npz: a zip file of .npy files, here of bytes.
#pragma once

#include <zlib.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "support/support.h"

namespace hearth::test {

struct Bytes {
  std::vector<size_t> shape;
  std::vector<uint8_t> values;
};

namespace npz {

inline uint32_t number(const uint8_t* at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= uint32_t{at[i]} << 8 * i;
  return value;
}

inline std::vector<uint8_t> inflated(const uint8_t* from, size_t packed, size_t size) {
  std::vector<uint8_t> to(size);
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, -MAX_WBITS), Z_OK);
  stream.next_in = const_cast<Bytef*>(from);
  stream.avail_in = static_cast<uInt>(packed);
  stream.next_out = to.data();
  stream.avail_out = static_cast<uInt>(size);
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  return to;
}

inline Bytes array_of(const std::vector<uint8_t>& file) {
  const size_t header = number(file.data() + 8, 2);
  const std::string text(file.begin() + 10, file.begin() + static_cast<ptrdiff_t>(10 + header));
  EXPECT_NE(text.find("'|u1'"), std::string::npos) << text;
  Bytes array;
  const size_t open = text.find('('), close = text.find(')');
  for (size_t at = open + 1; at < close;) {
    array.shape.push_back(std::strtoul(text.c_str() + at, nullptr, 10));
    at = std::min(close, text.find(',', at)) + 1;
    while (at < close && text[at] == ' ') ++at;
  }
  array.values.assign(file.begin() + static_cast<ptrdiff_t>(10 + header), file.end());
  return array;
}

}  // namespace npz

inline std::map<std::string, Bytes> read_npz(const std::filesystem::path& path) {
  constexpr uint32_t kEntry = 0x02014b50;
  const std::vector<uint8_t> file = read_bytes(path);
  std::map<std::string, Bytes> arrays;
  const uint8_t* end = file.data() + file.size() - 22;  // its end record has no comment
  const uint8_t* at = file.data() + npz::number(end + 16, 4);
  for (; npz::number(at, 4) == kEntry; at += 46 + npz::number(at + 28, 2) + npz::number(at + 30, 2)) {
    const std::string name(reinterpret_cast<const char*>(at + 46), npz::number(at + 28, 2));
    const uint8_t* local = file.data() + npz::number(at + 42, 4);
    const uint8_t* data = local + 30 + npz::number(local + 26, 2) + npz::number(local + 28, 2);
    const uint32_t packed = npz::number(at + 20, 4), size = npz::number(at + 24, 4);
    std::vector<uint8_t> array(data, data + packed);
    if (npz::number(at + 10, 2) == 8) array = npz::inflated(data, packed, size);
    arrays[name.substr(0, name.size() - 4)] = npz::array_of(array);
  }
  return arrays;
}

}  // namespace hearth::test
