// Python's two ways of formatting: "%s" % values and "{}".format(values). Language: docs.python.org, "printf-style
// String Formatting" and "Format String Syntax".
#include <charconv>
#include <cmath>
#include <optional>

#include "template/format_spec.h"
#include "template/jinja_string_methods.h"
#include "template/unicode.h"

namespace hearth::templates {
namespace {

int64_t read_number(std::string_view text, size_t* at, int64_t most) {
  int64_t value = 0;
  for (; *at < text.size() && text[*at] >= '0' && text[*at] <= '9'; ++*at) {
    value = value * 10 + (text[*at] - '0');
    if (value > most) fail("a format asks for more than {} characters", most);
  }
  return value;
}

int64_t whole_number(const Value& value, char type) {
  if (value.is(Kind::kFloat) && std::abs(value.as_float()) < 9e18) return static_cast<int64_t>(value.as_float());
  if (!value.is_number() || value.is(Kind::kBig))
    fail("the format %{} needs a number, not '{}'", type, type_name(value));
  return to_integer(value);
}

double real_number(const Value& value, char type) {
  if (!value.is_number()) fail("the format %{} needs a number, not '{}'", type, type_name(value));
  return to_double(value);
}

// Writes a text with its origin, cut to the precision and filled up to the width.
void write_padded(TextBuilder& out, const String& string, const FormatSpec& spec) {
  size_t end = string.text.size();
  if (spec.precision >= 0) end = unicode::offset(string.text, static_cast<size_t>(spec.precision));
  const auto size = static_cast<int64_t>(unicode::count(string.text.substr(0, end)));
  const int64_t missing = std::max<int64_t>(spec.width - size, 0);
  const int64_t left = spec.align == '>' ? missing : spec.align == '^' ? missing / 2 : 0;
  for (int64_t i = 0; i < left; ++i) out.literal(spec.fill);
  out.append(string, 0, end);
  for (int64_t i = left; i < missing; ++i) out.literal(spec.fill);
}

class Percent {
 public:
  Percent(Render& render, const String& format, const Value& values)
      : render_(render), format_(format), values_(values), out_(render.budget()) {
    is_tuple_ = values.is(Kind::kList) && values.as_list().sequence == Sequence::kTuple;
  }

  Value run() {
    const std::string_view text = format_.text;
    for (size_t at = 0; at < text.size();) {
      const size_t percent = std::min(text.find('%', at), text.size());
      out_.append(format_, at, percent);
      at = percent;
      if (at < text.size()) conversion(text, ++at);
    }
    // Python takes what has items, but for tuples and texts, for a mapping, and a mapping may stay unused.
    const bool may_stay =
        values_.is(Kind::kMap) || (values_.is(Kind::kList) && values_.as_list().sequence != Sequence::kKeys);
    const bool unused = is_tuple_ ? used_ < values_.as_list().items.size() : used_ == 0 && !may_stay;
    if (unused) fail("not all values of a % format are used");
    return out_.value(format_.markup);
  }

 private:
  const Value& next() {
    if (is_tuple_) {
      if (used_ >= values_.as_list().items.size()) fail("a % format has too few values");
      return values_.as_list().items[used_++];
    }
    if (used_++ > 0) fail("a % format has too few values");
    return values_;
  }

  void conversion(std::string_view text, size_t& at) {
    FormatSpec spec;
    std::optional<Value> named;
    if (at < text.size() && text[at] == '(') {
      const size_t end = text.find(')', at);
      if (end == std::string_view::npos || !values_.is(Kind::kMap)) fail("a % format with a name needs a map");
      const Value* found = values_.as_map().find(text.substr(at + 1, end - at - 1));
      if (found == nullptr) fail("the map of a % format has no '{}'", text.substr(at + 1, end - at - 1));
      named = *found;
      at = end + 1;
    }
    flags(text, at, spec);
    spec.width = read_number(text, &at, kMaxFormatWidth);
    if (at < text.size() && text[at] == '.') spec.precision = read_number(text, &++at, kMaxFormatPrecision);
    if (at >= text.size()) fail("a % format ends in the middle of a conversion");
    spec.type = text[at++];
    if (spec.type == '%') return out_.literal("%");
    const Value& value = named ? *named : next();
    write(value, spec);
  }

  static void flags(std::string_view text, size_t& at, FormatSpec& spec) {
    for (; at < text.size(); ++at) {
      if (text[at] == '-') {
        spec.align = '<';
      } else if (text[at] == '0') {
        spec.zero = true;
      } else if (text[at] == '+' || (text[at] == ' ' && spec.sign == '\0')) {
        spec.sign = text[at];
      } else if (text[at] == '#') {
        spec.alternate = true;
      } else if (text[at] != ' ') {
        break;
      }
    }
  }

  // A character, or the code of one.
  void write_character(const Value& value, const FormatSpec& spec) {
    if (value.is(Kind::kString)) return write_padded(out_, value.as_string(), spec);
    const int64_t code = value.is(Kind::kInt) ? value.as_int() : -1;
    if (code < 0 || code > 0x10FFFF) fail("%c needs a character or the code of one");
    std::string character;
    unicode::append(static_cast<uint32_t>(code), &character);
    write_padded(out_, make_string(out_.budget(), character, Origin::kUser).as_string(), spec);
  }

  void write(const Value& value, FormatSpec& spec) {
    const bool left = spec.align == '<';
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
      TextBuilder text(out_.budget());
      spec.type == 's' ? print(text, value) : print_quoted(text, value);
      if (!left) spec.align = '>';
      const bool marked = value.is(Kind::kString) && value.as_string().markup;
      const String& plain = text.value(marked).as_string();
      return write_padded(out_, format_.markup ? escaped(render_, plain) : plain, spec);
    }
    if (spec.type == 'c') {
      if (!left) spec.align = '>';
      return write_character(value, spec);
    }
    if (spec.zero && !left) {
      spec.fill = "0";
      spec.align = '=';
    }
    std::string text;
    if (std::string_view("diuxXo").find(spec.type) != std::string_view::npos) {
      if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
      const bool big = value.is(Kind::kBig) && spec.type == 'd';
      text = big ? std::string(value.text()) : format_integer(whole_number(value, spec.type), spec);
    } else if (std::string_view("eEfFgG").find(spec.type) != std::string_view::npos) {
      text = format_float(real_number(value, spec.type), spec);
    } else {
      fail("a % format has no conversion \"{}\"", spec.type);
    }
    out_.literal(pad_to_width(text, spec, true));
  }

  Render& render_;
  const String& format_;
  const Value& values_;
  TextBuilder out_;
  bool is_tuple_ = false;
  size_t used_ = 0;
};

class Braces {
 public:
  Braces(Render& render, const String& format, const Arguments& arguments)
      : render_(render), format_(format), arguments_(arguments), out_(render.budget()) {}

  Value run() {
    const std::string_view text = format_.text;
    for (size_t at = 0; at < text.size();) {
      const size_t brace = std::min(text.find_first_of("{}", at), text.size());
      out_.append(format_, at, brace);
      if (brace == text.size()) break;
      const bool twice = brace + 1 < text.size() && text[brace + 1] == text[brace];
      if (twice) {
        out_.append(format_, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (text[brace] == '}') fail("a format has a \"}}\" that closes nothing");
      const size_t end = text.find('}', brace);
      if (end == std::string_view::npos) fail("a format has a \"{{\" that is not closed");
      field(text.substr(brace + 1, end - brace - 1));
      at = end + 1;
    }
    return out_.value();
  }

 private:
  void field(std::string_view text) {
    const size_t colon = std::min(text.find(':'), text.size());
    std::string_view name = text.substr(0, colon);
    const std::string_view rules = colon < text.size() ? text.substr(colon + 1) : "";
    if (rules.find('{') != std::string_view::npos) fail("a format inside of a format is not supported");
    char conversion = '\0';
    if (name.size() >= 2 && name[name.size() - 2] == '!') {
      conversion = name.back();
      name.remove_suffix(2);
    }
    Value value = find(name);
    if (conversion != '\0') {
      TextBuilder converted(render_.budget());
      conversion == 's' ? print(converted, value) : print_quoted(converted, value);
      value = converted.value();
    }
    if (rules.empty()) return print(out_, value);
    write(value, parse(rules));
  }

  // name, number or nothing, then .attribute and [item].
  Value find(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end));
    for (size_t at = end; at < name.size();) {
      const bool is_item = name[at] == '[';
      const size_t begin = at + 1;
      const size_t stop = std::min(is_item ? name.find(']', begin) : name.find_first_of(".[", begin), name.size());
      const std::string_view part = name.substr(begin, stop - begin);
      int64_t number = 0;
      const auto read = std::from_chars(part.data(), part.data() + part.size(), number);
      const bool numeric = read.ec == std::errc() && read.ptr == part.data() + part.size();
      const Value key = numeric ? Value::integer(number) : make_string(render_.budget(), part);
      value = is_item || numeric ? item(render_, value, key) : attribute(render_, value, key.as_string());
      at = is_item ? stop + 1 : stop;
    }
    return value;
  }

  Value first(std::string_view name) {
    size_t number = next_;
    const bool numbered = !name.empty() && name[0] >= '0' && name[0] <= '9';
    if ((name.empty() && numbered_) || (numbered && next_ > 0)) fail("a format has fields with and without numbers");
    numbered_ |= numbered;
    if (name.empty()) {
      ++next_;
    } else if (std::from_chars(name.data(), name.data() + name.size(), number).ec != std::errc()) {
      for (const auto& [key, value] : arguments_.named) {
        if (key == name) return value;
      }
      fail("a format names '{}', which is not given", name);
    }
    if (number >= arguments_.positional.size()) fail("a format has too few values");
    return arguments_.positional[number];
  }

  static FormatSpec parse(std::string_view text) {
    FormatSpec spec;
    size_t at = 0;
    const size_t fill = text.empty() ? 0 : unicode::width(text[0]);
    const auto aligns = [&](size_t i) {
      return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
    };
    if (fill > 0 && aligns(fill)) {
      spec.fill = text.substr(0, fill);
      spec.align = text[fill];
      at = fill + 1;
    } else if (aligns(0)) {
      spec.align = text[at++];
    }
    const auto skip = [&](char c) { return at < text.size() && text[at] == c && ++at > 0; };
    for (const char sign : {'+', '-', ' '}) {
      if (skip(sign) && sign != '-') spec.sign = sign;
    }
    spec.alternate = skip('#');
    if (skip('0')) {
      spec.zero = true;
      if (spec.align == '\0') {
        spec.align = '=';
        spec.fill = "0";
      }
    }
    spec.width = read_number(text, &at, kMaxFormatWidth);
    for (const char grouping : {',', '_'}) {
      if (skip(grouping)) spec.grouping = grouping;
    }
    if (skip('.')) spec.precision = read_number(text, &at, kMaxFormatPrecision);
    if (at < text.size()) spec.type = text[at++];
    if (at != text.size()) fail("\"{}\" is no format", text);
    return spec;
  }

  void write(const Value& value, FormatSpec spec) {
    if (spec.type == 'n') spec.type = value.is(Kind::kFloat) ? 'g' : 'd';
    const bool text_format = spec.type == '\0' || spec.type == 's';
    if (value.is(Kind::kString) && text_format) return write_padded(out_, value.as_string(), spec);
    const bool integral = spec.type == '\0' ? !value.is(Kind::kFloat)
                                            : std::string_view("dxXobc").find(spec.type) != std::string_view::npos;
    const bool real =
        spec.type == '\0' ? !integral : std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
    if ((!integral && !real) || !value.is_number() || (integral && value.is(Kind::kFloat))) {
      fail("the format \"{}\" does not fit a value of type '{}'", spec.type, type_name(value));
    }
    const std::string text = value.is(Kind::kBig) && integral ? std::string(value.text())
                             : integral                       ? format_integer(to_integer(value), spec)
                                                              : format_float(to_double(value), spec);
    out_.literal(pad_to_width(text, spec, true));
  }

  Render& render_;
  const String& format_;
  const Arguments& arguments_;
  TextBuilder out_;
  size_t next_ = 0;
  bool numbered_ = false;
};

}  // namespace

Value format_percent(Render& render, const String& format, const Value& values) {
  return Percent(render, format, values).run();
}

Value format_braces(Render& render, const String& format, const Arguments& arguments) {
  return Braces(render, format, arguments).run();
}

}  // namespace hearth::templates
