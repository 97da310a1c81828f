// Decimal numbers of any length, and the languages of numbers in JSON that their bounds make.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "grammar/regexes.h"

namespace hearth::grammar {

struct Decimal {
  bool negative = false;
  std::string whole = "0";  // no leading zeros
  std::string fraction;     // no zeros at the end

  // Of a JSON number. Nothing if its exponent is beyond +-400.
  static std::optional<Decimal> parse(std::string_view text);
  bool zero() const { return whole == "0" && fraction.empty(); }
  bool is_integer() const { return fraction.empty(); }
  std::string text() const;
  bool operator==(const Decimal&) const = default;
};

// The forms of numbers that grammars know when something is asked of a number: no exponent, no -0; integers have up to
// 19 digits, others at most 16 (a double tells 15 to 17 apart), so that what the text says and what a reader's double
// makes of it agree about bounds.
RegexId plain_number(Regexes& regexes);
RegexId plain_integer(Regexes& regexes);                       // without a point
RegexId whole_number(Regexes& regexes);                        // also 1.0
RegexId any_number(Regexes& regexes);                          // also with an exponent of at most two digits
RegexId number_below(Regexes& regexes, const Decimal& bound);  // to be intersected with plain_number()
RegexId number_above(Regexes& regexes, const Decimal& bound);
RegexId number_equal(Regexes& regexes, const Decimal& value);
// Nothing if the divisor has more than 17 digits or is 0.
std::optional<RegexId> number_multiple(Regexes& regexes, const Decimal& divisor);

}  // namespace hearth::grammar
