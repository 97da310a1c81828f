#include "template/go_lexer.h"

#include <charconv>

#include "template/budget.h"
#include "template/unicode.h"

namespace hearth::templates::go {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
bool is_blank(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : rest_(source) {}

  std::vector<GoToken> run() {
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
  void add(Token kind, std::string_view text) { tokens_.push_back({kind, std::string(text), line_}); }
  void skip(size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) line_ += rest_[i] == '\n' ? 1 : 0;
    rest_.remove_prefix(bytes);
  }
  bool starts(std::string_view text) const { return rest_.starts_with(text); }
  // "-" and a blank behind "{{".
  bool trims_at(size_t at) const { return at + 1 < rest_.size() && rest_[at] == '-' && is_blank(rest_[at + 1]); }
  // A blank, "-" and "}}".
  bool closes_with_trim(size_t at) const {
    return at < rest_.size() && is_blank(rest_[at]) && rest_.substr(at + 1).starts_with("-}}");
  }

  void outside() {
    const size_t open = rest_.find("{{");
    std::string_view text = rest_.substr(0, open);
    const bool ends = open == std::string_view::npos;
    const bool trims = !ends && trims_at(open + 2);
    if (trims) {
      const size_t last = text.find_last_not_of(kBlanks);
      text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
    }
    if (!text.empty()) add(Token::kText, text);
    skip(ends ? rest_.size() : open);
    if (ends) return;
    const size_t after = trims ? 4 : 2;
    if (rest_.substr(after).starts_with("/*")) return comment(after);
    add(Token::kOpen, "");
    skip(trims ? 3 : 2);
    inside();
  }

  void close(bool trims) {
    if (trims) skip(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
  }

  void comment(size_t begin) {
    const size_t end = rest_.find("*/", begin + 2);
    if (end == std::string_view::npos) fail("a comment does not end");
    const bool trims = closes_with_trim(end + 2);
    if (!trims && !rest_.substr(end + 2).starts_with("}}")) fail("a comment must end right before \"}}}}\"");
    skip(end + (trims ? 6 : 4));
    close(trims);
  }

  // The tokens of an action.
  void inside() {
    for (int parentheses = 0;;) {
      if (rest_.empty()) fail("the template ends inside an action: \"}}}}\" is missing");
      if (closes_with_trim(0) || starts("}}")) {
        if (parentheses > 0) fail("a parenthesis is not closed");
        const bool trims = !starts("}}");
        add(Token::kClose, "");
        skip(trims ? 4 : 2);
        return close(trims);
      }
      parentheses += starts("(") ? 1 : starts(")") ? -1 : 0;
      if (parentheses < 0) fail("\")\" closes nothing");
      one_token();
    }
  }

  void one_token() {
    const char c = rest_[0];
    if (is_blank(c)) {
      const size_t end = std::min(rest_.find_first_not_of(kBlanks), rest_.size());
      // The blank before " -}}" belongs to the closing.
      const bool closes = end > 0 && rest_.substr(end).starts_with("-}}");
      if (!closes || end > 1) add(Token::kSpace, "");
      return skip(closes ? end - 1 : end);
    }
    if (starts(":=")) return sign(2);
    if (c == '"') return quoted('"', Token::kString);
    if (c == '\'') return quoted('\'', Token::kCharacter);
    if (c == '`') return raw();
    const bool digit_follows = rest_.size() > 1 && rest_[1] >= '0' && rest_[1] <= '9';
    if ((c >= '0' && c <= '9') || ((c == '+' || c == '-') && rest_.size() > 1) || (c == '.' && digit_follows))
      return number();
    if (c == '.' || c == '$') {
      const size_t end = word(1);
      add(c == '.' ? Token::kField : Token::kVariable, rest_.substr(1, end - 1));
      return skip(end);
    }
    if (const size_t end = word(0); end > 0) {
      add(Token::kName, rest_.substr(0, end));
      return skip(end);
    }
    if (std::string_view("()|=,").find(c) != std::string_view::npos) return sign(1);
    fail("\"{}\" is not expected here", rest_.substr(0, std::min(unicode::width(c), rest_.size())));
  }

  void sign(size_t bytes) {
    add(Token::kSign, rest_.substr(0, bytes));
    skip(bytes);
  }

  size_t word(size_t at) const {
    while (at < rest_.size() && unicode::is_word(unicode::decode(rest_.substr(at)))) at += unicode::width(rest_[at]);
    return at;
  }

  void number() {
    size_t end = 1;
    while (end < rest_.size()) {
      const bool exponent_sign =
          (rest_[end] == '+' || rest_[end] == '-') && (rest_[end - 1] | 32) == 'e' && !starts("0x");
      if (!exponent_sign && rest_[end] != '.' && word(end) == end) break;
      end += unicode::width(rest_[end]);
    }
    add(Token::kNumber, rest_.substr(0, end));
    skip(end);
  }

  void raw() {
    const size_t end = rest_.find('`', 1);
    if (end == std::string_view::npos) fail("a text in quotes does not end");
    std::string text(rest_.substr(1, end - 1));
    std::erase(text, '\r');
    add(Token::kString, text);
    skip(end + 1);
  }

  void quoted(char quote, Token kind) {
    std::string value;
    size_t at = 1;
    while (at < rest_.size() && rest_[at] != quote) {
      if (rest_[at] == '\n') fail("a text in quotes does not end");
      if (rest_[at] == '\\' && at + 1 < rest_.size()) {
        at = escape(at + 1, quote, &value);
      } else {
        value += rest_[at++];
      }
    }
    if (at >= rest_.size()) fail("a text in quotes does not end");
    if (kind == Token::kCharacter && unicode::count(value) != 1) fail("a character in quotes must be one");
    add(kind, value);
    skip(at + 1);
  }

  // Go's escapes; `at` is behind the backslash. Gives the position behind the escape.
  size_t escape(size_t at, char quote, std::string* value) {
    static constexpr std::string_view kLetters = "abfnrtv\\", kValues = "\a\b\f\n\r\t\v\\";
    const char c = rest_[at];
    if (const size_t known = kLetters.find(c); known != std::string_view::npos) {
      *value += kValues[known];
      return at + 1;
    }
    if (c == quote) {
      *value += c;
      return at + 1;
    }
    const bool octal = c >= '0' && c <= '7';
    const size_t size = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : octal ? 3 : 0;
    const std::string_view digits = rest_.substr(octal ? at : at + 1, size);
    uint32_t code = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), code, octal ? 8 : 16);
    const bool whole = failed == std::errc() && digits.size() == size && end == digits.data() + digits.size();
    const bool byte = c == 'x' || octal;
    if (size == 0 || !whole || (byte && code > 0x7F) || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      fail("\"\\{}\" is no escape that is supported", c);
    }
    unicode::append(code, value);
    return at + size + (octal ? 0 : 1);
  }

  std::string_view rest_;
  std::vector<GoToken> tokens_;
  int line_ = 1;
};

}  // namespace

std::vector<GoToken> lex(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace hearth::templates::go
