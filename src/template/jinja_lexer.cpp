#include "template/jinja_lexer.h"

#include <charconv>

#include "template/budget.h"
#include "template/unicode.h"

namespace hearth::templates {
namespace {

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_tag_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// \r\n and \r count as \n; one newline at the end does not count.
std::string normalized(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    const bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    if (!pair) text += source[i] == '\r' ? '\n' : source[i];
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)), rest_(source_) {}

  std::vector<JinjaToken> run() {
    try {
      while (!rest_.empty()) outside();
    } catch (Failure& failure) {
      if (failure.line == 0) failure.line = line_;
      throw;
    }
    add(Token::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void add(Token kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void skip(size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) line_ += rest_[i] == '\n' ? 1 : 0;
    if (bytes > 0) line_start_ = rest_[bytes - 1] == '\n';
    rest_.remove_prefix(bytes);
  }
  bool starts(std::string_view text, size_t at = 0) const {
    return rest_.substr(std::min(at, rest_.size())).starts_with(text);
  }
  size_t blanks(size_t at) const {
    while (at < rest_.size() && is_tag_space(rest_[at])) ++at;
    return at;
  }

  // Text up to the next tag, and the tag.
  void outside() {
    size_t at = 0;
    while ((at = rest_.find('{', at)) != std::string_view::npos) {
      if (starts("{{", at) || starts("{%", at) || starts("{#", at)) break;
      ++at;
    }
    at = std::min(at, rest_.size());
    const bool end = at == rest_.size();
    const char kind = end ? '\0' : rest_[at + 1];
    const char sign = at + 2 < rest_.size() && !end ? rest_[at + 2] : '\0';
    text_before(at, kind, sign);
    if (end) return;
    const size_t begin = sign == '-' || sign == '+' ? 3 : 2;
    if (kind == '#') return comment();
    if (kind == '{') {
      add(Token::kOutputBegin, "");
      skip(begin);
      return inside("}}", Token::kOutputEnd);
    }
    const size_t name = blanks(begin), after = blanks(name + 3);
    if (starts("raw", name) && (starts("%}", after) || starts("-%}", after))) return raw(after);
    add(Token::kTagBegin, "");
    skip(begin);
    inside("%}", Token::kTagEnd);
  }

  // Adds the text of `size` bytes, without what the tag after it takes away: all white space for "-"; the blanks before
  // a block tag or a comment that begins its line.
  void text_before(size_t size, char kind, char sign) {
    std::string_view text = rest_.substr(0, size);
    if (sign == '-' && kind != '\0') {
      text = unicode::strip_right(text);
    } else if (kind != '\0' && kind != '{' && sign != '+') {
      const size_t newline = text.rfind('\n');
      const size_t from = newline == std::string_view::npos ? 0 : newline + 1;
      if ((from > 0 || line_start_) && unicode::strip(text.substr(from)).empty()) text = text.substr(0, from);
    }
    if (!text.empty()) add(Token::kText, std::string(text));
    skip(size);
  }

  // What follows a block tag or comment is taken away: its newline, or all white space for "-".
  void after_tag(char sign, bool trims_newline) {
    if (sign == '-') {
      skip(rest_.size() - unicode::strip_left(rest_).size());
    } else if (sign != '+' && trims_newline && starts("\n")) {
      skip(1);
    }
  }

  void comment() {
    if (rest_.size() == 2) return skip(2);  // Jinja lets a template end right behind "{#" and "{% raw %}"
    const size_t end = rest_.find("#}", 2);
    if (end == std::string_view::npos) fail("a comment does not end: there is no \"#}}\"");
    const char sign = end > 2 ? rest_[end - 1] : '\0';
    skip(end + 2);
    after_tag(sign, true);
  }

  void raw(size_t tag_end) {
    const bool strips = rest_[tag_end] == '-';
    skip(tag_end + (strips ? 3 : 2));
    if (strips) after_tag('-', false);
    for (size_t at = 0; (at = rest_.find("{%", at)) != std::string_view::npos; at += 2) {
      const char sign = at + 2 < rest_.size() ? rest_[at + 2] : '\0';
      const size_t name = blanks(at + (sign == '-' || sign == '+' ? 3 : 2));
      size_t end = blanks(name + 6);
      if (!starts("endraw", name)) continue;
      const char close = end < rest_.size() ? rest_[end] : '\0';
      if (close == '-' || close == '+') ++end;
      if (!starts("%}", end)) continue;
      const size_t tag = end + 2 - at;
      text_before(at, '%', sign);
      skip(tag);
      return after_tag(close, true);
    }
    if (rest_.empty()) return;
    fail("a raw block does not end: there is no \"endraw\"");
  }

  // The tokens of a tag up to `close`.
  void inside(std::string_view close, Token end) {
    std::string brackets;
    for (;;) {
      skip(blanks(0));
      if (rest_.empty()) fail("the template ends inside a tag: \"{}\" is missing", close);
      if (brackets.empty()) {
        const char sign = rest_[0] == '-' || (rest_[0] == '+' && end == Token::kTagEnd) ? rest_[0] : '\0';
        if (starts(close, sign != '\0' ? 1 : 0)) {
          add(end, "");
          skip(close.size() + (sign != '\0' ? 1 : 0));
          return after_tag(sign, end == Token::kTagEnd);
        }
      }
      one_token(brackets);
    }
  }

  void one_token(std::string& brackets) {
    const char c = rest_[0];
    if (is_ascii_digit(c)) return number();
    if (c == '\'' || c == '"') return string(c);
    if (unicode::is_word(unicode::decode(rest_))) return name();
    operation(brackets);
  }

  size_t digits(size_t at) const {
    while (at < rest_.size() &&
           (is_ascii_digit(rest_[at]) || (rest_[at] == '_' && at + 1 < rest_.size() && is_ascii_digit(rest_[at + 1]))))
      ++at;
    return at;
  }

  void number() {
    if (starts("0x") || starts("0X") || starts("0o") || starts("0O") || starts("0b") || starts("0B"))
      return based_number();
    size_t end = digits(0);
    const bool leading_zero = rest_[0] == '0' && rest_.substr(0, end).find_first_not_of("0_") != std::string_view::npos;
    bool fraction = false;
    const bool after_dot = !tokens_.empty() && tokens_.back().kind == Token::kOperator && tokens_.back().text == ".";
    if (!after_dot) {  // "a.0.1" is two items, no float
      if (end + 1 < rest_.size() && rest_[end] == '.' && is_ascii_digit(rest_[end + 1])) {
        end = digits(end + 1);
        fraction = true;
      }
      if (end < rest_.size() && (rest_[end] == 'e' || rest_[end] == 'E')) {
        const size_t sign = end + 1 < rest_.size() && (rest_[end + 1] == '+' || rest_[end + 1] == '-') ? 1 : 0;
        if (end + 1 + sign < rest_.size() && is_ascii_digit(rest_[end + 1 + sign])) {
          end = digits(end + 1 + sign);
          fraction = true;
        }
      }
    }
    if (leading_zero && !fraction) fail("a number begins with a zero");
    std::string text(rest_.substr(0, end));
    std::erase(text, '_');
    add(fraction ? Token::kFloat : Token::kInteger, text);
    skip(end);
  }

  void based_number() {
    const int base = (rest_[1] | 32) == 'x' ? 16 : (rest_[1] | 32) == 'o' ? 8 : 2;
    uint64_t value = 0;
    const auto [end, failed] = std::from_chars(rest_.data() + 2, rest_.data() + rest_.size(), value, base);
    if (failed != std::errc()) fail("\"{}\" is no number", rest_.substr(0, 2));
    add(Token::kInteger, std::to_string(value));
    skip(static_cast<size_t>(end - rest_.data()));
  }

  void name() {
    size_t end = 0;
    while (end < rest_.size() && unicode::is_word(unicode::decode(rest_.substr(end))))
      end += unicode::width(rest_[end]);
    add(Token::kName, std::string(rest_.substr(0, end)));
    skip(end);
  }

  void string(char quote) {
    std::string value;
    size_t at = 1;
    for (; at < rest_.size() && rest_[at] != quote; ++at) {
      if (rest_[at] == '\\' && at + 1 < rest_.size()) {
        at = escape(at + 1, &value);
      } else {
        value += rest_[at];
      }
    }
    if (at >= rest_.size()) fail("a text in quotes does not end");
    add(Token::kString, std::move(value));
    skip(at + 1);
  }

  // Python's escapes. `at` is behind the backslash; gives the last byte of the escape.
  size_t escape(size_t at, std::string* value) {
    static constexpr std::string_view kLetters = "abfnrtv\\'\"", kValues = "\a\b\f\n\r\t\v\\'\"";
    const char c = rest_[at];
    if (c == '\n') return at;
    if (const size_t known = kLetters.find(c); known != std::string_view::npos) {
      *value += kValues[known];
      return at;
    }
    if (c == 'x') return coded(at, 2, value);
    if (c == 'u') return coded(at, 4, value);
    if (c == 'U') return coded(at, 8, value);
    if (c < '0' || c > '7') {
      *value += {'\\', c};
      return at;
    }
    uint32_t code = 0;
    size_t end = at;
    while (end < rest_.size() && end < at + 3 && rest_[end] >= '0' && rest_[end] <= '7') {
      code = code * 8 + static_cast<uint32_t>(rest_[end++] - '0');
    }
    unicode::append(code, value);
    return end - 1;
  }

  size_t coded(size_t at, size_t size, std::string* value) {
    const std::string_view hex = rest_.substr(at + 1, size);
    uint32_t code = 0;
    const auto [end, failed] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    const bool whole = failed == std::errc() && hex.size() == size && end == hex.data() + hex.size();
    if (!whole || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      fail("\"\\{}{}\" is no character", rest_[at], hex);
    unicode::append(code, value);
    return at + size;
  }

  void operation(std::string& brackets) {
    static constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    for (const std::string_view two : kTwo) {
      if (starts(two)) {
        add(Token::kOperator, std::string(two));
        return skip(2);
      }
    }
    const char c = rest_[0];
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      fail("\"{}\" is not expected here", rest_.substr(0, std::min(unicode::width(c), rest_.size())));
    }
    const size_t open = std::string_view("([{").find(c);
    if (open != std::string_view::npos) brackets += ")]}"[open];
    if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty() || brackets.back() != c) fail("\"{}\" closes nothing", c);
      brackets.pop_back();
    }
    add(Token::kOperator, std::string(1, c));
    skip(1);
  }

  std::string source_;
  std::string_view rest_;
  std::vector<JinjaToken> tokens_;
  int line_ = 1;
  bool line_start_ = true;  // the last token ended a line
};

}  // namespace

std::vector<JinjaToken> lex_jinja(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace hearth::templates
