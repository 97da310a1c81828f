#include "text/utf8_stream.h"

#include "text/utf8.h"

namespace hearth::text {

std::string Utf8Stream::feed(std::string_view bytes) {
  held_.append(bytes);
  std::string out;
  out.reserve(held_.size());
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Utf8Char next = decode_utf8(rest);
    if (next.status == Utf8Status::kIncomplete) break;
    out.append(next.status == Utf8Status::kValid ? rest.substr(0, next.bytes) : kReplacementUtf8);
    rest.remove_prefix(next.bytes);
  }
  held_.erase(0, held_.size() - rest.size());
  return out;
}

std::string Utf8Stream::finish() {
  // What is held is one incomplete sequence, hence one replacement character.
  std::string out(held_.empty() ? std::string_view() : kReplacementUtf8);
  held_.clear();
  return out;
}

}  // namespace hearth::text
