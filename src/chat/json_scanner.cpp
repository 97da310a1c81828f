#include "chat/json_scanner.h"

#include <fmt/format.h>

#include "chat/input.h"

namespace hearth::chat {
namespace {

constexpr size_t kMaxDepth = 256;

// A number's grammar: '-' sign, '0' zero first, '1' digits, '.' point, '2' digits behind it, 'e' exponent's letter,
// '+' its sign, '3' its digits. The state after `c`; 0 if `c` cannot follow.
char next_in_number(char state, char c) {
  const bool digit = c >= '0' && c <= '9';
  switch (state) {
    case '-':
      return !digit ? 0 : c == '0' ? '0' : '1';
    case '0':
    case '1':
      if (digit) return state == '1' ? '1' : 0;
      return c == '.' ? '.' : c == 'e' || c == 'E' ? 'e' : 0;
    case '.':
      return digit ? '2' : 0;
    case '2':
      return digit ? '2' : c == 'e' || c == 'E' ? 'e' : 0;
    case 'e':
      return digit ? '3' : c == '+' || c == '-' ? '+' : 0;
    default:
      return digit ? '3' : 0;
  }
}

bool whole_number(char state) {
  return state == '0' || state == '1' || state == '2' || state == '3';
}

// Of an escape of the form \uXXXX.
bool is_surrogate(std::string_view escape, std::string_view kinds) {
  return escape.size() == 6 && (escape[2] | 0x20) == 'd' && kinds.find(escape[3]) != std::string_view::npos;
}
bool is_high_surrogate(std::string_view escape) {
  return is_surrogate(escape, "89abAB");
}
bool is_low_surrogate(std::string_view escape) {
  return is_surrogate(escape, "cdefCDEF");
}

constexpr std::string_view kReplacementEscape = "\\ufffd";

}  // namespace

void append_escaped(std::string_view text, std::string* out) {
  for (const char c : text) {
    switch (c) {
      case '"':
      case '\\':
        out->push_back('\\');
        out->push_back(c);
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\t':
        out->append("\\t");
        break;
      case '\r':
        out->append("\\r");
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out->append(fmt::format("\\u{:04x}", static_cast<unsigned>(c)));
        } else {
          out->push_back(c);
        }
    }
  }
}

JsonScanner::State JsonScanner::feed(char c, std::string* out) {
  switch (expect_) {
    case Expect::kString:
      return string(c, out);
    case Expect::kEscape:
      return escape(c, out);
    case Expect::kHex:
      return hex(c, out);
    case Expect::kNumber:
      return number(c, out);
    case Expect::kWord:
      return word(c, out);
    default:
      break;
  }
  if (is_space(c)) {
    if (c == '\v' || c == '\f') return State::kInvalid;
    out->push_back(c);
    return State::kInside;
  }
  if (expect_ == Expect::kValue) return value(c, out);
  if (expect_ == Expect::kValueOrEnd) return c == ']' ? close(c, out) : value(c, out);
  return structure(c, out);
}

JsonScanner::State JsonScanner::structure(char c, std::string* out) {
  const bool in_object = !stack_.empty() && stack_.back() == '{';
  if (expect_ == Expect::kColon) {
    if (c != ':') return State::kInvalid;
    expect_ = Expect::kValue;
  } else if (expect_ == Expect::kComma) {
    if (c == '}' || c == ']') return close(c, out);
    if (c != ',') return State::kInvalid;
    expect_ = in_object ? Expect::kKey : Expect::kValue;
  } else {  // a key
    if (c == '}' && expect_ == Expect::kKeyOrEnd) return close(c, out);
    if (c != '"') return State::kInvalid;
    is_key_ = true;
    key_.clear();
    expect_ = Expect::kString;
  }
  out->push_back(c);
  return State::kInside;
}

JsonScanner::State JsonScanner::value(char c, std::string* out) {
  if (c == '{' || c == '[') return open(c, out);
  if (c == '"') {
    is_key_ = false;
    expect_ = Expect::kString;
  } else if (c == '-' || (c >= '0' && c <= '9')) {
    number_state_ = c == '-' ? '-' : c == '0' ? '0' : '1';
    expect_ = Expect::kNumber;
  } else if (c == 't' || c == 'f' || c == 'n') {
    word_ = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
    expect_ = Expect::kWord;
  } else {
    return State::kInvalid;
  }
  out->push_back(c);
  return State::kInside;
}

JsonScanner::State JsonScanner::open(char c, std::string* out) {
  if (stack_.size() == kMaxDepth) return State::kInvalid;
  stack_.push_back(c);
  out->push_back(c);
  expect_ = c == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
  return State::kInside;
}

JsonScanner::State JsonScanner::close(char c, std::string* out) {
  if (stack_.empty() || stack_.back() != (c == '}' ? '{' : '[')) return State::kInvalid;
  stack_.pop_back();
  out->push_back(c);
  return end_value();
}

JsonScanner::State JsonScanner::end_value() {
  expect_ = Expect::kComma;
  return stack_.empty() ? State::kDone : State::kInside;
}

void JsonScanner::flush_escape(std::string* out) {
  if (is_high_surrogate(escape_) || is_low_surrogate(escape_)) escape_ = kReplacementEscape;
  out->append(escape_);
  if (is_key_) key_ += escape_;
  escape_.clear();
}

// A high surrogate was held, but no low one has come.
void JsonScanner::give_up_pair(std::string* out) {
  const std::string next = escape_.substr(6);
  escape_.resize(6);
  flush_escape(out);
  escape_ = next;
}

JsonScanner::State JsonScanner::string(char c, std::string* out) {
  if (c == '\\') {
    if (!is_high_surrogate(escape_)) flush_escape(out);
    escape_ += c;
    expect_ = Expect::kEscape;
    return State::kInside;
  }
  flush_escape(out);
  if (c == '"') {
    out->push_back(c);
    if (!is_key_) return end_value();
    if (stack_.size() == 1) keys_.push_back(key_);
    expect_ = Expect::kColon;
    return State::kInside;
  }
  const size_t before = out->size();
  if (static_cast<unsigned char>(c) < 0x20) {
    append_escaped(std::string_view(&c, 1), out);
  } else {
    out->push_back(c);
  }
  if (is_key_) key_.append(*out, before);
  return State::kInside;
}

JsonScanner::State JsonScanner::escape(char c, std::string* out) {
  expect_ = Expect::kString;
  if (c == 'u') {
    escape_ += c;
    hex_digits_ = 0;
    expect_ = Expect::kHex;
    return State::kInside;
  }
  if (escape_.size() > 1) give_up_pair(out);
  if (c == '\'') {  // an apostrophe needs no escape in JSON
    escape_.back() = c;
  } else if (std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos) {
    escape_ += c;
  } else {
    escape_ += '\\';
    append_escaped(std::string_view(&c, 1), &escape_);
  }
  flush_escape(out);
  return State::kInside;
}

JsonScanner::State JsonScanner::hex(char c, std::string* out) {
  if (std::string_view("0123456789abcdefABCDEF").find(c) == std::string_view::npos) return State::kInvalid;
  escape_ += c;
  if (++hex_digits_ < 4) return State::kInside;
  expect_ = Expect::kString;
  if (escape_.size() > 6 && !is_low_surrogate(std::string_view(escape_).substr(6))) give_up_pair(out);
  if (!is_high_surrogate(escape_)) flush_escape(out);
  return State::kInside;
}

JsonScanner::State JsonScanner::number(char c, std::string* out) {
  if (const char next = next_in_number(number_state_, c); next != 0) {
    number_state_ = next;
    out->push_back(c);
    return State::kInside;
  }
  if (!whole_number(number_state_) || (c >= '0' && c <= '9')) return State::kInvalid;
  if (end_value() == State::kDone) return State::kDoneBefore;
  return feed(c, out);
}

JsonScanner::State JsonScanner::word(char c, std::string* out) {
  if (c != word_[0]) return State::kInvalid;
  out->push_back(c);
  word_.remove_prefix(1);
  return word_.empty() ? end_value() : State::kInside;
}

JsonScanner::State JsonScanner::finish() const {
  const bool whole = expect_ == Expect::kNumber && stack_.empty() && whole_number(number_state_);
  return whole ? State::kDoneBefore : State::kInvalid;
}

std::optional<std::string> as_json(std::string_view text) {
  text = trimmed(text);
  JsonScanner scanner;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const JsonScanner::State state = scanner.feed(text[i], &out);
    if (state == JsonScanner::State::kDone && i + 1 == text.size()) return out;
    if (state != JsonScanner::State::kInside) return std::nullopt;
  }
  if (scanner.finish() == JsonScanner::State::kDoneBefore) return out;
  return std::nullopt;
}

}  // namespace hearth::chat
