// A Go template's text as tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::templates::go {

enum class Token : uint8_t {
  kText,
  kOpen,
  kClose,
  kSpace,
  kName,
  kField,
  kVariable,
  kNumber,
  kCharacter,
  kString,
  kSign,
  kEnd
};

struct GoToken {
  Token kind = Token::kEnd;
  std::string text;  // of a field and a variable without their "." and "$"; of a text and a character its value
  int line = 1;
};

std::vector<GoToken> lex(std::string_view source);

}  // namespace hearth::templates::go
