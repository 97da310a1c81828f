// Tokens of PTX text, and the text itself for messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::sim::ptx {

struct Token {
  enum class Kind : std::uint8_t {
    kEnd,
    kWord,     // identifier: [A-Za-z_$%][A-Za-z0-9_$]*
    kDot,      // directive or modifier with its dot: ".global", ".L2::128B"
    kInteger,  // bits: the value
    kFloat32,  // 0f3F800000; bits: the 32 bits
    kFloat64,  // 0d... or decimal; bits: the 64 bits
    kString,   // text without the quotes
    kPunctuation,
  };
  Kind kind = Kind::kEnd;
  std::uint32_t line = 0;
  std::string_view text;
  std::uint64_t bits = 0;

  bool is(char punctuation) const { return kind == Kind::kPunctuation && text[0] == punctuation; }
  bool is_dot(std::string_view name) const { return kind == Kind::kDot && text == name; }
};

// "PTX line 12: <what>: <the line's text>"
Error fault_at(std::string_view text, std::uint32_t line, ErrorKind kind, std::string_view what);

// All tokens, without comments; the last is kEnd. The text must outlive them.
Result<std::vector<Token>> tokenize(std::string_view text);

}  // namespace hearth::sim::ptx
