// Regular expressions as JSON schemas use them: ECMAScript's (ECMA-262, section 22.2.1, with the u flag's reading of
// characters), without what is not regular (references back, look-behind) and without word boundaries.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "grammar/char_set.h"
#include "grammar/regexes.h"

namespace hearth::grammar {

struct PatternLanguage {
  RegexId regex;
  // If it is just so many characters of a set: a length can be limited without an intersection.
  struct Repeated {
    CharSet chars;
    uint32_t least, most;
  };
  std::optional<Repeated> repeated;
};

using CharEncoder = RegexId (*)(Regexes&, const CharSet&);  // utf8_char or json_char

// The texts that a pattern matches: as a whole if `whole`, else anywhere inside (unless it has ^ and $).
// Errors: kUnsupported, kUsage, with the place; both say what part of the pattern it is.
Result<PatternLanguage> compile_pattern(Regexes& regexes, std::string_view pattern, CharEncoder encode, bool whole);

}  // namespace hearth::grammar
