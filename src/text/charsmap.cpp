#include "text/charsmap.h"

#include <cstring>

#include "base/error.h"
#include "text/utf8.h"

namespace hearth::text {
namespace {

// A unit of the double array: the label of the edge to it, where its children are, whether one of them is a leaf.
uint32_t label(uint32_t unit) {
  return unit & (1u << 31 | 0xFFu);
}
uint32_t offset(uint32_t unit) {
  return (unit >> 10) << ((unit & 1u << 9) >> 6);
}
bool has_leaf(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t leaf_value(uint32_t unit) {
  return unit & 0x7FFFFFFFu;
}

}  // namespace

Result<Charsmap> Charsmap::parse(std::span<const std::byte> bytes) {
  Charsmap map;
  if (bytes.empty()) return map;
  uint32_t array_bytes = 0;
  if (bytes.size() < sizeof(array_bytes)) return error(ErrorKind::kInvalidData, "breaks off in its first number");
  std::memcpy(&array_bytes, bytes.data(), sizeof(array_bytes));
  bytes = bytes.subspan(sizeof(array_bytes));
  if (array_bytes > bytes.size() || array_bytes % sizeof(uint32_t) != 0)
    return error(ErrorKind::kInvalidData, "says that its array has {} bytes, but {} follow", array_bytes, bytes.size());
  map.units_.resize(array_bytes / sizeof(uint32_t));
  if (array_bytes > 0) std::memcpy(map.units_.data(), bytes.data(), array_bytes);
  bytes = bytes.subspan(array_bytes);
  map.texts_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return map;
}

size_t Charsmap::replace_first(std::string_view text, std::string* out) const {
  size_t longest = 0;
  std::string_view replacement;
  size_t node = units_.empty() ? 0 : offset(units_[0]);
  for (size_t i = 0; i < std::min(text.size(), kMaxKeyBytes); ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label(units_[node]) != byte) break;
    const bool leaf = has_leaf(units_[node]);
    node ^= offset(units_[node]);
    if (!leaf || node >= units_.size() || leaf_value(units_[node]) >= texts_.size()) continue;
    const std::string_view rest = std::string_view(texts_).substr(leaf_value(units_[node]), kMaxTextBytes + 1);
    const size_t end = rest.find('\0');
    if (end == std::string_view::npos) continue;
    longest = i + 1;
    replacement = rest.substr(0, end);
  }
  if (longest > 0) {
    out->append(replacement);
    return longest;
  }
  const Utf8Char next = decode_utf8(text);
  if (next.status == Utf8Status::kValid) {
    out->append(text.substr(0, next.bytes));
    return next.bytes;
  }
  out->append(kReplacementUtf8);
  return 1;
}

}  // namespace hearth::text
