#include "grammar/decimal.h"

#include <algorithm>
#include <cstdlib>

namespace hearth::grammar {
namespace {

constexpr uint32_t kMost_integer_digits = 19, kMost_digits = 16;

RegexId digit(Regexes& regexes, char first, char last) {
  return first > last ? Regexes::kEmpty
                      : regexes.bytes(ByteSet::range(static_cast<uint8_t>(first), static_cast<uint8_t>(last)));
}
RegexId any_digit(Regexes& regexes) {
  return digit(regexes, '0', '9');
}
RegexId digits(Regexes& regexes, uint32_t least, uint32_t most) {
  return regexes.repeat(any_digit(regexes), least, most);
}
RegexId any_fraction(Regexes& regexes) {
  return regexes.optional(regexes.concat(regexes.literal("."), digits(regexes, 1, kUnbounded)));
}

// Numbers without a sign below or above `bound` (whose sign does not count).
RegexId magnitude(Regexes& regexes, const Decimal& bound, bool below) {
  const std::string& whole = bound.whole;
  const std::string& fraction = bound.fraction;
  const auto length = static_cast<uint32_t>(whole.size());
  const auto beyond = [&](char at, bool leading) {
    return below ? digit(regexes, leading && length > 1 ? '1' : '0', static_cast<char>(at - 1))
                 : digit(regexes, static_cast<char>(at + 1), '9');
  };
  std::vector<RegexId> parts;
  const RegexId after = any_fraction(regexes);
  if (below && length > 1) {
    const RegexId shorter = regexes.concat(digit(regexes, '1', '9'), digits(regexes, 0, length - 2));
    parts.push_back(regexes.concat(regexes.either(digit(regexes, '0', '0'), shorter), after));
  }
  if (!below) parts.push_back(regexes.concat({digit(regexes, '1', '9'), digits(regexes, length, kUnbounded), after}));
  for (uint32_t i = 0; i < length; ++i) {
    const RegexId rest = digits(regexes, length - 1 - i, length - 1 - i);
    parts.push_back(regexes.concat({regexes.literal(whole.substr(0, i)), beyond(whole[i], i == 0), rest, after}));
  }
  const RegexId same = regexes.literal(whole);
  const RegexId point = regexes.literal(whole + ".");
  if (below && !fraction.empty()) parts.push_back(same);
  for (size_t i = 0; i < fraction.size(); ++i) {
    const RegexId prefix = regexes.concat(point, regexes.literal(fraction.substr(0, i)));
    parts.push_back(regexes.concat({prefix, beyond(fraction[i], false), digits(regexes, 0, kUnbounded)}));
    if (below && i > 0) parts.push_back(prefix);
  }
  if (!below) {
    const RegexId zeros = regexes.repeat(digit(regexes, '0', '0'), 0, kUnbounded);
    parts.push_back(regexes.concat(
        {point, regexes.literal(fraction), zeros, digit(regexes, '1', '9'), digits(regexes, 0, kUnbounded)}));
  }
  return regexes.either(std::move(parts));
}

// With a point, without a sign, not zero if `nonzero`.
RegexId with_point(Regexes& regexes, bool nonzero) {
  std::vector<RegexId> parts;
  const RegexId point = regexes.literal(".");
  for (uint32_t whole = 1; whole < kMost_digits; ++whole) {
    parts.push_back(regexes.concat({digit(regexes, '1', '9'), digits(regexes, whole - 1, whole - 1), point,
                                    digits(regexes, 1, kMost_digits - whole)}));
  }
  const RegexId zero = regexes.literal("0.");
  if (!nonzero) parts.push_back(regexes.concat(zero, digits(regexes, 1, kMost_digits - 1)));
  for (uint32_t zeros = 0; nonzero && zeros < kMost_digits - 1; ++zeros) {
    parts.push_back(regexes.concat({zero, regexes.literal(std::string(zeros, '0')), digit(regexes, '1', '9'),
                                    digits(regexes, 0, kMost_digits - 2 - zeros)}));
  }
  return regexes.either(std::move(parts));
}

RegexId negative(Regexes& regexes, RegexId magnitude) {
  return regexes.concat(regexes.literal("-"), magnitude);
}

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) {
  Decimal number;
  if (text.starts_with('-')) {
    number.negative = true;
    text.remove_prefix(1);
  }
  long exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != text.npos) {
    const std::string part(text.substr(e + 1));
    if (part.size() > 6) return std::nullopt;
    exponent = std::strtol(part.c_str(), nullptr, 10);
    text = text.substr(0, e);
  }
  if (std::abs(exponent) > 400) return std::nullopt;
  const size_t point = text.find('.');
  number.whole = text.substr(0, point);
  if (point != text.npos) number.fraction = text.substr(point + 1);
  for (; exponent > 0; --exponent) {
    number.whole += number.fraction.empty() ? '0' : number.fraction[0];
    if (!number.fraction.empty()) number.fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    number.fraction.insert(0, 1, number.whole.empty() ? '0' : number.whole.back());
    if (!number.whole.empty()) number.whole.pop_back();
  }
  number.whole.erase(0, std::min(number.whole.find_first_not_of('0'), number.whole.size()));
  if (number.whole.empty()) number.whole = "0";
  number.fraction.erase(number.fraction.find_last_not_of('0') + 1);
  if (number.zero()) number.negative = false;
  return number;
}

std::string Decimal::text() const {
  return (negative ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction);
}

RegexId plain_integer(Regexes& regexes) {
  const RegexId magnitude = regexes.concat(digit(regexes, '1', '9'), digits(regexes, 0, kMost_integer_digits - 1));
  return regexes.either({regexes.literal("0"), magnitude, negative(regexes, magnitude)});
}

RegexId plain_number(Regexes& regexes) {
  return regexes.either(
      {plain_integer(regexes), with_point(regexes, false), negative(regexes, with_point(regexes, true))});
}

RegexId whole_number(Regexes& regexes) {
  const RegexId zeros = regexes.repeat(digit(regexes, '0', '0'), 1, kUnbounded);
  const RegexId pointed = regexes.concat(
      {regexes.optional(regexes.literal("-")), digits(regexes, 1, kUnbounded), regexes.literal("."), zeros});
  return regexes.either(plain_integer(regexes), regexes.both(plain_number(regexes), pointed));
}

RegexId any_number(Regexes& regexes) {
  const RegexId whole = regexes.either(regexes.literal("0"),
                                       regexes.concat(digit(regexes, '1', '9'), digits(regexes, 0, kMost_digits - 1)));
  const RegexId fraction = regexes.optional(regexes.concat(regexes.literal("."), digits(regexes, 1, kMost_digits)));
  ByteSet e, sign;
  e.add('e'), e.add('E'), sign.add('+'), sign.add('-');
  const RegexId exponent =
      regexes.concat({regexes.bytes(e), regexes.optional(regexes.bytes(sign)), digits(regexes, 1, 2)});
  const RegexId scientific = regexes.concat({regexes.optional(regexes.literal("-")), whole, fraction, exponent});
  return regexes.either(plain_number(regexes), scientific);
}

RegexId number_below(Regexes& regexes, const Decimal& bound) {
  if (bound.negative) return negative(regexes, magnitude(regexes, bound, false));
  const RegexId any = regexes.concat(digits(regexes, 1, kUnbounded), any_fraction(regexes));
  return regexes.either(negative(regexes, any), bound.zero() ? Regexes::kEmpty : magnitude(regexes, bound, true));
}

RegexId number_above(Regexes& regexes, const Decimal& bound) {
  if (!bound.negative) return magnitude(regexes, bound, false);
  const RegexId any = regexes.concat(digits(regexes, 1, kUnbounded), any_fraction(regexes));
  return regexes.either(any, negative(regexes, magnitude(regexes, bound, true)));
}

RegexId number_equal(Regexes& regexes, const Decimal& value) {
  const RegexId text = regexes.literal(value.text());
  const RegexId zero = digit(regexes, '0', '0');
  if (!value.fraction.empty()) return regexes.concat(text, regexes.repeat(zero, 0, kUnbounded));
  const RegexId zeros = regexes.concat(regexes.literal("."), regexes.repeat(zero, 1, kUnbounded));
  return regexes.concat(text, regexes.optional(zeros));
}

std::optional<RegexId> number_multiple(Regexes& regexes, const Decimal& divisor) {
  std::string all = divisor.whole + divisor.fraction;
  all.erase(0, all.find_first_not_of('0') == all.npos ? all.size() : all.find_first_not_of('0'));
  if (all.empty() || all.size() > 17) return std::nullopt;
  const RegexId magnitude =
      regexes.multiple_of(std::strtoull(all.c_str(), nullptr, 10), static_cast<uint32_t>(divisor.fraction.size()));
  return regexes.concat(regexes.optional(regexes.literal("-")), magnitude);
}

}  // namespace hearth::grammar
