#include "sim/ptx/lexer.h"

#include <bit>
#include <charconv>

#include "base/error.h"

namespace hearth::sim::ptx {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}
bool is_word(char c) {
  return (is_word_start(c) && c != '%') || is_digit(c);
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    while (true) {
      TRY(skip_blank());
      Token token;
      token.line = line_;
      if (at_ >= text_.size()) {
        tokens_.push_back(token);
        return std::move(tokens_);
      }
      TRY(next(token));
      tokens_.push_back(token);
    }
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  Error fault(std::string_view what) const { return fault_at(text_, line_, ErrorKind::kInvalidData, what); }

  Status skip_blank() {
    while (at_ < text_.size()) {
      const char c = peek();
      if (c == '\n') {
        ++line_;
        ++at_;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
        ++at_;
      } else if (c == '/' && peek(1) == '/') {
        while (at_ < text_.size() && peek() != '\n') ++at_;
      } else if (c == '/' && peek(1) == '*') {
        const std::size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) return fault("comment without end");
        for (; at_ < end + 2; ++at_) line_ += text_[at_] == '\n';
      } else {
        break;
      }
    }
    return {};
  }

  Status next(Token& token) {
    const std::size_t start = at_;
    const char c = peek();
    if (is_digit(c)) return number(token);
    if (c == '"') return string(token);
    if (is_word_start(c)) {
      token.kind = Token::Kind::kWord;
      ++at_;
      while (is_word(peek())) ++at_;
    } else if (c == '.' && is_word(peek(1))) {
      token.kind = Token::Kind::kDot;
      ++at_;
      while (is_word(peek()) || (peek() == ':' && peek(1) == ':' && is_word(peek(2)))) at_ += peek() == ':' ? 2 : 1;
    } else {
      constexpr std::string_view known = ",;:{}[]()<>+-|!@=~*";
      if (known.find(c) == std::string_view::npos) return fault("unexpected character");
      token.kind = Token::Kind::kPunctuation;
      ++at_;
    }
    token.text = text_.substr(start, at_ - start);
    return {};
  }

  Status string(Token& token) {
    const std::size_t end = text_.find_first_of("\"\n", at_ + 1);
    if (end == std::string_view::npos || text_[end] == '\n') return fault("string without end");
    token.kind = Token::Kind::kString;
    token.text = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return {};
  }

  Status number(Token& token) {
    const std::size_t start = at_;
    const char marker = peek(1);
    if (peek() == '0' && (marker == 'f' || marker == 'F' || marker == 'd' || marker == 'D')) {
      return float_bits(token, marker == 'f' || marker == 'F' ? 8 : 16);
    }
    while (is_word(peek()) || (peek() == '.' && is_digit(peek(1))) ||
           ((peek() == '+' || peek() == '-') && exponent_before(start))) {
      ++at_;
    }
    token.text = text_.substr(start, at_ - start);
    const bool hexadecimal = marker == 'x' || marker == 'X';
    if (!hexadecimal && token.text.find_first_of(".eE") != std::string_view::npos) return decimal(token);
    return integer(token);
  }

  // Whether the text so far ends in the e of 1.5e+3 (hexadecimal integers have no exponent).
  bool exponent_before(std::size_t start) const {
    const std::string_view so_far = text_.substr(start, at_ - start);
    return (so_far.back() == 'e' || so_far.back() == 'E') && so_far.find_first_of("xX") == std::string_view::npos;
  }

  Status float_bits(Token& token, std::size_t digits) {
    const std::size_t start = at_;
    at_ += 2;
    while (is_hex(peek())) ++at_;
    token.text = text_.substr(start, at_ - start);
    if (at_ - start - 2 != digits || is_word(peek())) return fault("malformed floating-point constant");
    token.kind = digits == 8 ? Token::Kind::kFloat32 : Token::Kind::kFloat64;
    std::from_chars(text_.data() + start + 2, text_.data() + at_, token.bits, 16);
    return {};
  }

  Status decimal(Token& token) {
    double value = 0;
    const char* end = token.text.data() + token.text.size();
    const auto parsed = std::from_chars(token.text.data(), end, value);
    if (parsed.ptr != end || parsed.ec != std::errc{}) return fault("malformed number");
    token.kind = Token::Kind::kFloat64;
    token.bits = std::bit_cast<std::uint64_t>(value);
    return {};
  }

  Status integer(Token& token) {
    std::string_view digits = token.text;
    if (digits.back() == 'U') digits.remove_suffix(1);
    int base = 10;
    if (digits.size() > 1 && digits[0] == '0') {
      const char marker = digits[1];
      base = marker == 'x' || marker == 'X' ? 16 : marker == 'b' || marker == 'B' ? 2 : 8;
      digits.remove_prefix(base == 8 ? 1 : 2);
    }
    const char* end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, token.bits, base);
    if (digits.empty() || parsed.ptr != end || parsed.ec != std::errc{}) return fault("malformed number");
    token.kind = Token::Kind::kInteger;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

Error fault_at(std::string_view text, std::uint32_t line, ErrorKind kind, std::string_view what) {
  std::size_t start = 0;
  for (std::uint32_t i = 1; i < line; ++i) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string_view::npos) break;
    start = end + 1;
  }
  std::string_view content = text.substr(start, text.find('\n', start) - start);
  const std::size_t first = content.find_first_not_of(" \t\r");
  content = first == std::string_view::npos ? "" : content.substr(first);
  content = content.substr(0, content.find_last_not_of(" \t\r") + 1).substr(0, 200);
  std::string printable(content);
  for (char& c : printable) {
    if (c == '\t') c = ' ';
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return error(kind, "PTX line {}: {}: {}", line, what, printable);
}

Result<std::vector<Token>> tokenize(std::string_view text) {
  return Lexer(text).run();
}

}  // namespace hearth::sim::ptx
