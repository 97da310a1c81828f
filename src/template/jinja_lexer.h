// A Jinja template's text as tokens, with the settings that transformers uses for chat templates: trim_blocks and
// lstrip_blocks on, the final newline dropped. Language: jinja.palletsprojects.com/templates.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::templates {

enum class Token : uint8_t {
  kText,         // outside of tags
  kOutputBegin,  // {{
  kOutputEnd,
  kTagBegin,  // {%
  kTagEnd,
  kName,
  kString,   // its value, escapes resolved
  kInteger,  // decimal digits
  kFloat,
  kOperator,
  kEnd,
};

struct JinjaToken {
  Token kind = Token::kEnd;
  std::string text;
  int line = 1;
};

// Ends with a token kEnd. Fails, with the line, for what is no token.
std::vector<JinjaToken> lex_jinja(std::string_view source);

}  // namespace hearth::templates
