// Go's Sprintf and Sprint.
#include <cmath>

#include "template/format_spec.h"
#include "template/go_values.h"

namespace hearth::templates::go {
namespace {

// A text between double quotes, as %q; `ascii`: nothing but ASCII.
std::string quoted(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); i += unicode::width(text[i])) {
    const uint32_t code = unicode::decode(text.substr(i));
    static constexpr std::string_view kFrom = "\a\b\f\n\r\t\v\\\"", kTo = "abfnrtv\\\"";
    const size_t known = code < 0x80 ? kFrom.find(static_cast<char>(code)) : std::string_view::npos;
    if (known != std::string_view::npos) {
      out += {'\\', kTo[known]};
    } else if (code < 0x20 || code == 0x7F) {
      out += fmt::format("\\x{:02x}", code);
    } else if ((ascii && code >= 0x80) || !unicode::is_printable(code)) {
      out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    } else {
      unicode::append(code, &out);
    }
  }
  return out + "\"";
}

std::string hex_bytes(std::string_view text, bool upper) {
  std::string out;
  for (const char c : text)
    out += upper ? fmt::format("{:02X}", static_cast<uint8_t>(c)) : fmt::format("{:02x}", static_cast<uint8_t>(c));
  return out;
}

class Printer {
 public:
  Printer(Budget& budget, const String& format, std::span<const Value> arguments)
      : format_(format), arguments_(arguments), out_(budget) {}

  Value run() {
    const std::string_view text = format_.text;
    for (size_t at = 0; at < text.size();) {
      const size_t percent = std::min(text.find('%', at), text.size());
      out_.append(format_, at, percent);
      at = percent;
      if (at < text.size()) conversion(text, ++at);
    }
    if (!reordered_ && next_ < arguments_.size()) extra();
    return out_.value();
  }

 private:
  void extra() {
    out_.literal("%!(EXTRA ");
    for (size_t i = next_; i < arguments_.size(); ++i) {
      if (i > next_) out_.literal(", ");
      out_.literal(arguments_[i].is(Kind::kNone) ? "" : go_type(arguments_[i]) + "=");
      print(out_, arguments_[i]);
    }
    out_.literal(")");
  }

  void conversion(std::string_view text, size_t& at) {
    FormatSpec spec;
    plus_ = false;
    for (; at < text.size() && std::string_view("+-# 0").find(text[at]) != std::string_view::npos; ++at) {
      if (text[at] == '-') spec.align = '<';
      if (text[at] == '0') spec.zero = true;
      if (text[at] == '#') spec.alternate = true;
      if (text[at] == '+') plus_ = true;
      if (text[at] == '+' || (text[at] == ' ' && spec.sign == '\0')) spec.sign = text[at];
    }
    argument_number(text, at);
    spec.width = number(text, at);
    if (at < text.size() && text[at] == '.') {
      ++at;
      argument_number(text, at);
      spec.precision = number(text, at);
    }
    argument_number(text, at);
    if (at >= text.size()) return out_.literal("%!(NOVERB)");
    const size_t width = unicode::width(text[at]);
    spec.type = text[at];
    const std::string_view verb = text.substr(at, width);
    at += width;
    if (spec.type == '%') return out_.literal("%");
    if (next_ >= arguments_.size()) return out_.literal(fmt::format("%!{}(MISSING)", verb));
    if (spec.align == '\0') spec.align = '>';
    write(arguments_[next_++], spec, verb, 0);
  }

  // [2] in front of a verb, a width or a precision.
  void argument_number(std::string_view text, size_t& at) {
    if (at >= text.size() || text[at] != '[') return;
    const size_t end = text.find(']', at);
    size_t begin = at + 1;
    if (end == std::string_view::npos || end == begin) return;
    const int64_t wanted = digits(text, begin);
    if (begin != end || wanted < 1) return;
    reordered_ = true;
    next_ = static_cast<size_t>(wanted - 1);
    at = end + 1;
  }

  static int64_t digits(std::string_view text, size_t& at) {
    int64_t value = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      value = value * 10 + (text[at] - '0');
      if (value > kMaxFormatWidth) fail("a format asks for more than {} characters", kMaxFormatWidth);
    }
    return value;
  }

  int64_t number(std::string_view text, size_t& at) {
    if (at < text.size() && text[at] == '*') {
      ++at;
      if (next_ >= arguments_.size() || !arguments_[next_].is(Kind::kInt)) return 0;
      return std::clamp<int64_t>(arguments_[next_++].as_int(), 0, kMaxFormatWidth);
    }
    return digits(text, at);
  }

  void write(const Value& value, const FormatSpec& spec, std::string_view verb, int depth) {
    check_depth(depth);
    out_.budget().work(1);
    if (spec.type == 'T') return padded(go_type(value), spec);
    const bool as_text = spec.type == 'v' || spec.type == 's';
    switch (value.kind()) {
      case Kind::kString:
        return write_string(value.as_string(), spec, verb);
      case Kind::kInt:
        return write_integer(value, spec, verb);
      case Kind::kFloat:
        return write_float(value, spec, verb);
      case Kind::kBool:
        if (spec.type == 'v' || spec.type == 't') return padded(value.as_bool() ? "true" : "false", spec);
        return bad_verb(value, verb);
      case Kind::kList:
      case Kind::kMap:
        if (as_text && (prints_as_json(value) || one_stands_alone(value))) {
          TextBuilder text(out_.budget());
          print(text, value);
          return write_string(text.value().as_string(), spec, verb);
        }
        return value.is(Kind::kList) ? write_list(value.as_list(), spec, verb, depth)
                                     : write_map(value.as_map(), spec, verb, depth);
      default:
        return spec.type == 'v' ? padded("<nil>", spec) : out_.literal(fmt::format("%!{}(<nil>)", verb));
    }
  }

  void bad_verb(const Value& value, std::string_view verb) {
    out_.literal(fmt::format("%!{}({}=", verb, go_type(value)));
    print(out_, value);
    out_.literal(")");
  }

  void padded(const std::string& text, const FormatSpec& spec, bool number = false) {
    FormatSpec filled = spec;
    if (spec.zero && number && spec.align != '<') {
      filled.fill = "0";
      filled.align = '=';
    }
    out_.literal(pad_to_width(text, filled, number));
  }

  void write_string(const String& string, const FormatSpec& spec, std::string_view verb) {
    if (spec.type == 'q') return out_.append(pad_to_width(quoted(string.text, plus_), spec, false), Origin::kUser);
    if (spec.type == 'x' || spec.type == 'X') return padded(hex_bytes(string.text, spec.type == 'X'), spec);
    if (spec.type != 's' && spec.type != 'v') return bad_verb(Value::string(&string), verb);
    size_t end = string.text.size();
    if (spec.precision >= 0) end = unicode::offset(string.text, static_cast<size_t>(spec.precision));
    const auto size = static_cast<int64_t>(unicode::count(string.text.substr(0, end)));
    const std::string blanks(static_cast<size_t>(std::max<int64_t>(spec.width - size, 0)),
                             spec.zero && spec.align != '<' ? '0' : ' ');
    if (spec.align != '<') out_.literal(blanks);
    out_.append(string, 0, end);
    if (spec.align == '<') out_.literal(blanks);
  }

  void write_integer(const Value& value, const FormatSpec& spec, std::string_view verb) {
    FormatSpec integer = spec;
    if (spec.type == 'v') integer.type = 'd';
    if (spec.type == 'c' || spec.type == 'q') {
      std::string character;
      const int64_t code = value.as_int();
      unicode::append(
          code >= 0 && code < 0x110000 && (code < 0xD800 || code > 0xDFFF) ? static_cast<uint32_t>(code) : 0xFFFD,
          &character);
      return padded(spec.type == 'c' ? character : "'" + character + "'", spec);
    }
    if (spec.type == 'U') return padded(fmt::format("U+{:04X}", value.as_int()), spec);
    if (std::string_view("dxXob").find(integer.type) == std::string_view::npos) return bad_verb(value, verb);
    padded(format_integer(value.as_int(), integer), spec, true);
  }

  void write_float(const Value& value, const FormatSpec& spec, std::string_view verb) {
    if (std::string_view("veEfFgG").find(spec.type) == std::string_view::npos) return bad_verb(value, verb);
    FormatSpec real = spec;
    const bool shortest = spec.precision < 0 && (spec.type == 'v' || spec.type == 'g' || spec.type == 'G');
    if (spec.type == 'v') real.type = 'g';
    if (!std::isfinite(value.as_float())) return padded(float_text(value.as_float()), spec);
    std::string text = shortest ? float_text(value.as_float()) : format_float(value.as_float(), real);
    if (shortest && plus_ && value.as_float() >= 0) text.insert(0, "+");
    padded(text, spec, true);
  }

  void write_list(const templates::List& list, const FormatSpec& spec, std::string_view verb, int depth) {
    out_.literal("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_.literal(" ");
      write(list.items[i], spec, verb, depth + 1);
    }
    out_.literal("]");
  }

  void write_map(const Map& map, const FormatSpec& spec, std::string_view verb, int depth) {
    const Value value = Value::map(const_cast<Map*>(&map));
    if (is_struct(value)) return print(out_, value);
    out_.literal("map[");
    bool first = true;
    for (const Map::Entry* entry : sorted_entries(map)) {
      if (!std::exchange(first, false)) out_.literal(" ");
      write(entry->key, spec, verb, depth + 1);
      out_.literal(":");
      write(entry->value, spec, verb, depth + 1);
    }
    out_.literal("]");
  }

  const String& format_;
  std::span<const Value> arguments_;
  TextBuilder out_;
  size_t next_ = 0;
  bool reordered_ = false, plus_ = false;
};

}  // namespace

Value print_formatted(Budget& budget, const String& format, std::span<const Value> arguments) {
  return Printer(budget, format, arguments).run();
}

// Blanks stand between two values neither of which is a text.
Value print_all(Budget& budget, std::span<const Value> arguments) {
  TextBuilder out(budget);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool blank = i > 0 && !arguments[i].is(Kind::kString) && !arguments[i - 1].is(Kind::kString);
    if (blank) out.literal(" ");
    print(out, arguments[i]);
  }
  return out.value();
}

}  // namespace hearth::templates::go
