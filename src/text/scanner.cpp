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

Span trailing_spaces(const CharReader& text, size_t from) {
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

Span groups_of_three(const CharReader& text, size_t from) {
  if (!in<kNumber>(text.at(from))) return {text.size(), text.size()};
  size_t wanted = 3;
  if (from == 0) {  // the first group takes what does not fill three
    size_t digits = 0;
    for (size_t at = 0; at < text.size(); at += text.at(at).bytes) ++digits;
    if (digits % 3 != 0) wanted = digits % 3;
  }
  size_t end = from;
  for (; wanted > 0 && end < text.size(); --wanted) end += text.at(end).bytes;
  return {from, end};
}

}  // namespace hearth::text
