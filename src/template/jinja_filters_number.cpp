#include <charconv>
#include <cmath>

#include "template/jinja_filters.h"

namespace hearth::templates {
namespace {

// The integer in a text of any base, as Python's int(): blanks around, a sign, underscores between digits, a prefix.
bool read_integer(std::string_view text, int base, int64_t* value) {
  std::string digits(unicode::strip(text));
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  const std::string prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (!prefix.empty() && (digits.starts_with(prefix))) digits.erase(0, 2);
  if (digits.empty() || digits.front() == '_' || digits.back() == '_' || digits.find("__") != std::string::npos)
    return false;
  std::erase(digits, '_');
  if (negative) digits.insert(0, "-");
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), *value, base);
  return failed == std::errc() && end == digits.data() + digits.size();
}

bool read_float(std::string_view text, double* value) {
  text = unicode::strip(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return failed == std::errc() && end == text.data() + text.size();
}

Value to_int(Render& render, const Value& self, const Arguments& arguments) {
  const auto [otherwise, base] = bind_arguments<2>(arguments, {"default", "base"});
  const Value fallback = otherwise.is_missing() ? Value::integer(0) : otherwise;
  if (self.is(Kind::kInt) || self.is(Kind::kBig)) return self;
  if (self.is(Kind::kBool)) return Value::integer(self.as_int());
  double number = 0;
  if (self.is(Kind::kString)) {
    int64_t value = 0;
    const int64_t radix = integer_or(base, 10);
    if (radix < 2 || radix > 36) fail("{} is no base of numbers", radix);
    if (read_integer(self.text(), static_cast<int>(radix), &value)) return Value::integer(value);
    if (!read_float(self.text(), &number)) return fallback;
  } else if (self.is(Kind::kFloat)) {
    number = self.as_float();
  } else {
    if (self.is(Kind::kUndefined)) fail_undefined(self);
    return fallback;
  }
  if (!std::isfinite(number)) return fallback;
  if (std::abs(number) < 9.2e18) return Value::integer(static_cast<int64_t>(number));
  return Value::big(&render.text(fmt::format("{:.0f}", number)).as_string());
}

Value to_float(Render&, const Value& self, const Arguments& arguments) {
  const auto [otherwise] = bind_arguments<1>(arguments, {"default"});
  const Value fallback = otherwise.is_missing() ? Value::number(0) : otherwise;
  if (self.is_number()) return Value::number(to_double(self));
  if (self.is(Kind::kUndefined)) fail_undefined(self);
  double number = 0;
  return self.is(Kind::kString) && read_float(self.text(), &number) ? Value::number(number) : fallback;
}

Value absolute(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  if (self.is(Kind::kUndefined)) fail_undefined(self);
  if (!self.is_number()) fail("abs() needs a number, not a value of type '{}'", type_name(self));
  if (self.is(Kind::kFloat)) return Value::number(std::abs(self.as_float()));
  const bool negative = self.is(Kind::kBig) ? self.text().starts_with('-') : self.as_int() < 0;
  if (negative) return negate(render, self);
  return self.is(Kind::kBool) ? Value::integer(self.as_int()) : self;
}

// To `digits` behind the point, the exact decimal value to the nearest, halves to the even digit, as Python.
double rounded(double value, int64_t digits) {
  if (digits >= 0) {
    const std::string text = fmt::format("{:.{}f}", value, std::min<int64_t>(digits, 400));
    double result = value;
    std::from_chars(text.data(), text.data() + text.size(), result);
    return result;
  }
  const double unit = std::pow(10.0, static_cast<double>(-std::max<int64_t>(digits, -400)));
  return std::nearbyint(value / unit) * unit;
}

Value round(Render&, const Value& self, const Arguments& arguments) {
  const auto [precision, method] = bind_arguments<2>(arguments, {"precision", "method"});
  const int64_t digits = integer_or(precision, 0);
  if (self.is(Kind::kUndefined)) fail_undefined(self);
  if (!self.is_number()) fail("round() needs a number, not a value of type '{}'", type_name(self));
  const std::string_view how = method.is_missing() ? "common" : to_text(method).text;
  if (how == "common") {
    if (!self.is(Kind::kFloat) && digits >= 0) return self.is(Kind::kBool) ? Value::integer(self.as_int()) : self;
    const double value = rounded(to_double(self), digits);
    return self.is(Kind::kFloat) ? Value::number(value) : Value::integer(static_cast<int64_t>(value));
  }
  if (how != "ceil" && how != "floor") fail("round() knows the methods common, ceil and floor");
  const double scale = std::pow(10.0, static_cast<double>(std::clamp<int64_t>(digits, -300, 300)));
  const double value = to_double(self) * scale;
  return Value::number((how == "ceil" ? std::ceil(value) : std::floor(value)) / scale);
}

Value filesizeformat(Render& render, const Value& self, const Arguments& arguments) {
  const auto [binary] = bind_arguments<1>(arguments, {"binary"});
  const double base = truth(binary) ? 1024 : 1000;
  double bytes = self.is_number() ? to_double(self) : 0;
  const bool known = self.is_number() || (self.is(Kind::kString) && read_float(self.text(), &bytes));
  if (!known) fail("filesizeformat() needs a number, not a value of type '{}'", type_name(self));
  if (bytes == 1) return render.text("1 Byte");
  if (bytes < base) return render.text(fmt::format("{} Bytes", static_cast<int64_t>(bytes)));
  size_t unit = 0;
  for (bytes /= base; bytes >= base && unit < 7; ++unit) bytes /= base;
  return render.text(fmt::format("{:.1f} {}{}", bytes, "kMGTPEZY"[unit] == 'k' && base > 1000 ? 'K' : "kMGTPEZY"[unit],
                                 base > 1000 ? "iB" : "B"));
}

}  // namespace

FilterTable number_filters() {
  static constexpr std::pair<std::string_view, Builtin> kFilters[] = {
      {"int", to_int}, {"float", to_float}, {"abs", absolute}, {"round", round}, {"filesizeformat", filesizeformat}};
  return kFilters;
}

}  // namespace hearth::templates
