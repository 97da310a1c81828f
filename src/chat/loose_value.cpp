#include "chat/loose_value.h"

#include <utility>

#include "chat/json_scanner.h"
#include "text/utf8.h"

namespace hearth::chat {
namespace {

constexpr std::string_view kWordEnds = ",)]}:";
constexpr size_t kMaxDepth = 256;

bool ends_word(char c) {
  return is_space(c) || kWordEnds.find(c) != std::string_view::npos;
}

size_t escape_digits(char kind) {
  return kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
}

}  // namespace

const LooseForm& LooseForm::of_python() {
  static const LooseForm form{.quotes = {"\"\"\"", "'''", "\"", "'"}, .python = true};
  return form;
}

LooseValue::LooseValue(const LooseForm& form, const Markers& markers) : form_(form) {
  quotes_ = markers.literals(form.quotes);
  for (const std::string_view quote : form.quotes) {
    Literals& ends = ends_.emplace_back(markers.literals({quote}));
    if (form.python) markers.add(&ends, "\\");
  }
}

void LooseValue::restart() {
  at_ = At::kValue;
  stack_.clear();
  keys_.clear();
  key_ = comma_ = false;
}

ReadResult LooseValue::read(Input& in, std::string* out) {
  for (;;) {
    if (at_ != At::kText && at_ != At::kWord && at_ != At::kQuote) in.skip_space();
    if (in.empty() && !in.ended()) return ReadResult::kMore;
    if (const ReadResult result = next(in, out); result != ReadResult::kText) return result;
  }
}

// kText: go on.
ReadResult LooseValue::next(Input& in, std::string* out) {
  if (in.empty() && at_ != At::kWord && at_ != At::kQuote) return ReadResult::kFailed;
  switch (at_) {
    case At::kValue:
    case At::kFirst:
      return begin_value(in, out);
    case At::kKey:
      if (in.peek() == '}') return after(in, out);
      key_ = true;
      key_text_.clear();
      return open_text(in, out);
    case At::kColon:
      if (in.peek() != ':' && in.peek() != '=') return ReadResult::kFailed;
      in.skip(1);
      out->append(": ");
      key_ = false;
      at_ = At::kValue;
      return ReadResult::kText;
    case At::kWord:
      return word(in, out);
    case At::kText:
      return text(in, out);
    case At::kQuote:
      return quote(in, out);
    case At::kAfter:
      return after(in, out);
  }
  return ReadResult::kFailed;
}

ReadResult LooseValue::begin_value(Input& in, std::string* out) {
  const char c = in.peek();
  if (c == '{' || c == '[' || c == '(') {
    if (stack_.size() == kMaxDepth) return ReadResult::kFailed;
    put_comma(out);
    stack_.push_back(c);
    out->push_back(c == '{' ? '{' : '[');
    in.skip(1);
    at_ = c == '{' ? At::kKey : At::kFirst;
    return ReadResult::kText;
  }
  if (at_ == At::kFirst && (c == ']' || c == ')')) return after(in, out);
  if (kWordEnds.find(c) != std::string_view::npos) return ReadResult::kFailed;
  return open_text(in, out);
}

// A text if a quote stands here, else a bare word.
ReadResult LooseValue::open_text(Input& in, std::string* out) {
  const int found = in.match(quotes_);
  if (found == Literals::kMore) return ReadResult::kMore;
  at_ = found >= 0 ? At::kText : At::kWord;
  quote_ = found;
  word_.clear();
  put_comma(out);
  if (found >= 0 || key_) out->push_back('"');
  return ReadResult::kText;
}

// A comma is written with what follows it: nothing may, before a closing bracket.
void LooseValue::put_comma(std::string* out) {
  if (comma_) out->append(", ");
  comma_ = false;
}

ReadResult LooseValue::word(Input& in, std::string* out) {
  while (!in.empty() && !ends_word(in.peek())) {
    if (key_ && in.peek() == '=') break;
    word_ += in.peek();
    in.skip(1);
  }
  if (in.empty() && !in.ended()) return ReadResult::kMore;
  if (word_.empty() || (in.empty() && !stack_.empty())) return ReadResult::kFailed;
  if (key_) {
    append_escaped(word_, out);
    key_text_ = word_;
    end_text(out);
    return ReadResult::kText;
  }
  put_word(out);
  return end_value();
}

void LooseValue::put_word(std::string* out) {
  if (word_ == "True" || word_ == "False" || word_ == "None") {
    out->append(word_ == "True" ? "true" : word_ == "False" ? "false" : "null");
  } else if (const auto json = as_json(word_)) {
    out->append(*json);
  } else {
    out->push_back('"');
    append_escaped(word_, out);
    out->push_back('"');
  }
}

ReadResult LooseValue::text(Input& in, std::string* out) {
  int found;
  const std::string_view part = in.take_until(ends_[static_cast<size_t>(quote_)], &found);
  put_text(part, out);
  if (found == Literals::kMore) return ReadResult::kMore;
  if (found == Literals::kNone) return ReadResult::kFailed;
  pending_ = found == 0 ? form_.quotes[static_cast<size_t>(quote_)] : "\\";
  at_ = At::kQuote;
  return ReadResult::kText;
}

// Behind what may be the end of a text, or behind a backslash.
ReadResult LooseValue::quote(Input& in, std::string* out) {
  if (pending_[0] == '\\' && form_.python) return escape(in, out);
  if (form_.python) {
    while (!in.empty() && is_space(in.peek())) {
      pending_ += in.peek();
      in.skip(1);
    }
    if (in.empty() && !in.ended()) return ReadResult::kMore;
    const bool closes = in.empty() || kWordEnds.find(in.peek()) != std::string_view::npos || (key_ && in.peek() == '=');
    if (!closes) {
      put_text(pending_, out);
      at_ = At::kText;
      return ReadResult::kText;
    }
  }
  end_text(out);
  return at_ == At::kColon ? ReadResult::kText : end_value();
}

void LooseValue::put_text(std::string_view part, std::string* out) {
  if (part.empty()) return;
  if (std::exchange(high_surrogate_, 0) != 0) append_escaped(text::kReplacementUtf8, out);
  append_escaped(part, out);
  if (key_) key_text_ += part;
}

// Python's escapes have no pairs, but models write them as in JSON.
void LooseValue::put_code(uint32_t code, std::string* out) {
  const uint32_t high = high_surrogate_;
  if (high != 0 && code >= 0xDC00 && code < 0xE000) {
    high_surrogate_ = 0;
    code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00);
  } else if (code >= 0xD800 && code < 0xDC00) {
    if (high != 0) put_text(text::kReplacementUtf8, out);
    high_surrogate_ = code;
    return;
  }
  const bool valid = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  std::string character;
  text::append_utf8(valid ? code : text::kReplacement, &character);
  put_text(character, out);
}

void LooseValue::end_text(std::string* out) {
  if (std::exchange(high_surrogate_, 0) != 0) append_escaped(text::kReplacementUtf8, out);
  out->push_back('"');
  if (!key_) return;
  if (stack_.size() == 1) keys_.push_back(key_text_);
  at_ = At::kColon;
}

// https://docs.python.org/3/reference/lexical_analysis.html#escape-sequences
ReadResult LooseValue::escape(Input& in, std::string* out) {
  if (in.empty()) return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
  pending_ += in.peek();
  in.skip(1);
  const char kind = pending_[1];
  const size_t digits = escape_digits(kind);
  if (pending_.size() < 2 + digits) return ReadResult::kText;
  at_ = At::kText;
  const std::string_view hex = std::string_view(pending_).substr(2);
  if (digits > 0 && hex.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos) {
    put_code(static_cast<uint32_t>(std::stoul(std::string(hex), nullptr, 16)), out);
    return ReadResult::kText;
  }
  constexpr std::string_view kKinds = "ntr\\'\"";
  constexpr std::string_view kMeant = "\n\t\r\\'\"";
  if (kind == '\n') return ReadResult::kText;
  const size_t known = kKinds.find(kind);
  put_text(known == std::string_view::npos ? std::string_view(pending_) : kMeant.substr(known, 1), out);
  return ReadResult::kText;
}

ReadResult LooseValue::end_value() {
  at_ = At::kAfter;
  return stack_.empty() ? ReadResult::kDone : ReadResult::kText;
}

ReadResult LooseValue::after(Input& in, std::string* out) {
  const char c = in.peek(), open = stack_.back();
  in.skip(1);
  if (c == ',' && at_ == At::kAfter) {
    comma_ = true;
    at_ = open == '{' ? At::kKey : At::kFirst;
    return ReadResult::kText;
  }
  if (c != (open == '{' ? '}' : open == '[' ? ']' : ')')) return ReadResult::kFailed;
  comma_ = false;
  out->push_back(c == '}' ? '}' : ']');
  stack_.pop_back();
  return end_value();
}

}  // namespace hearth::chat
