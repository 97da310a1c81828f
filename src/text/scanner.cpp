#include "text/scanner.h"

namespace hearth::text {

size_t newlines(const CharReader& text, size_t at) {
  size_t end = 0;
  for (Char c = text.at(at); in<kSpace>(c); c = text.at(at)) {
    at += c.bytes;
    if (in<kNewline>(c)) end = at;
  }
  return end;
}

size_t spaces(const CharReader& text, size_t at) {
  size_t end = at, last = at;  // of the run; where its last character begins
  for (Char c = text.at(end); in<kSpace>(c); c = text.at(end)) {
    last = end;
    end += c.bytes;
  }
  if (end == at) return 0;
  return end == text.size() || last == at ? end : last;
}

Range trailing_spaces(const CharReader& text, size_t from) {
  size_t begin = text.size();
  for (size_t at = from; at < text.size();) {
    const Char c = text.at(at);
    if (!in<kSpace>(c)) {
      begin = text.size();
    } else if (begin == text.size()) {
      begin = at;
    }
    at += c.bytes;
  }
  return {begin, text.size()};
}

}  // namespace hearth::text
