#include "template/printing.h"

#include <charconv>
#include <cmath>

#include "template/object.h"

namespace hearth::templates {
namespace {

void print_escaped(uint32_t code, char quote, std::string* out) {
  if (code == static_cast<uint32_t>(quote) || code == '\\') {
    *out += {'\\', static_cast<char>(code)};
  } else if (code == '\n') {
    *out += "\\n";
  } else if (code == '\r') {
    *out += "\\r";
  } else if (code == '\t') {
    *out += "\\t";
  } else if (unicode::is_printable(code)) {
    unicode::append(code, out);
  } else if (code < 0x100) {
    *out += fmt::format("\\x{:02x}", code);
  } else {
    *out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
  }
}

// In single quotes, unless the text has one and no double quote.
void print_quoted_string(TextBuilder& out, const String& string) {
  const bool has_single = string.text.find('\'') != std::string_view::npos;
  const bool has_double = string.text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out.append({&quote, 1}, Origin::kUser);
  each_piece(string, 0, string.text.size(), [&](std::string_view text, Origin origin) {
    std::string escaped;
    for (size_t at = 0; at < text.size(); at += unicode::width(text[at])) {
      print_escaped(unicode::decode(text.substr(at)), quote, &escaped);
    }
    out.append(escaped, origin);
  });
  out.append({&quote, 1}, Origin::kUser);
}

void print_items(TextBuilder& out, const List& list, int depth) {
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.append(", ", Origin::kUser);
    print_quoted(out, list.items[i], depth + 1);
  }
}

void print_range(TextBuilder& out, const List& list) {
  const auto& items = list.items;
  const int64_t first = items.empty() ? 0 : items[0].as_int();
  const int64_t step = items.size() < 2 ? 1 : items[1].as_int() - first;
  const int64_t end = items.empty() ? 0 : items.back().as_int() + step;
  out.literal(step == 1 ? fmt::format("range({}, {})", first, end)
                        : fmt::format("range({}, {}, {})", first, end, step));
}

void print_list(TextBuilder& out, const List& list, int depth) {
  switch (list.sequence) {
    case Sequence::kRange:
      return print_range(out, list);
    case Sequence::kGenerator:
      return out.literal("<generator object>");
    case Sequence::kKeys:
    case Sequence::kValues:
    case Sequence::kItems:
      out.append(fmt::format("{}([", sequence_name(list.sequence)), Origin::kUser);
      print_items(out, list, depth);
      return out.append("])", Origin::kUser);
    case Sequence::kTuple:
      out.append("(", Origin::kUser);
      print_items(out, list, depth);
      return out.append(list.items.size() == 1 ? ",)" : ")", Origin::kUser);
    case Sequence::kList:
      out.append("[", Origin::kUser);
      print_items(out, list, depth);
      return out.append("]", Origin::kUser);
  }
}

void print_map(TextBuilder& out, const Map& map, int depth) {
  out.append("{", Origin::kUser);
  for (size_t i = 0; i < map.entries.size(); ++i) {
    if (i > 0) out.append(", ", Origin::kUser);
    print_quoted(out, map.entries[i].key, depth + 1);
    out.append(": ", Origin::kUser);
    print_quoted(out, map.entries[i].value, depth + 1);
  }
  out.append("}", Origin::kUser);
}

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[400];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  std::string text(buffer, end);
  const int exponent = std::stoi(text.substr(text.find('e') + 1));
  if (exponent < -4 || exponent >= 16) return text;
  const auto fixed = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed).ptr;
  text.assign(buffer, fixed);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

void print(TextBuilder& out, const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return;
    case Kind::kString:
      return out.append(value.as_string());
    default:
      return print_quoted(out, value);
  }
}

void print_quoted(TextBuilder& out, const Value& value, int depth) {
  check_depth(depth);
  out.budget().work(1);
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return out.literal("Undefined");
    case Kind::kNone:
      return out.literal("None");
    case Kind::kBool:
      return out.literal(value.as_bool() ? "True" : "False");
    case Kind::kInt:
      return out.literal(std::to_string(value.as_int()));
    case Kind::kBig:
      return out.literal(value.text());
    case Kind::kFloat:
      return out.literal(float_text(value.as_float()));
    case Kind::kString:
      return print_quoted_string(out, value.as_string());
    case Kind::kList:
      return print_list(out, value.as_list(), depth);
    case Kind::kMap:
      return print_map(out, value.as_map(), depth);
    case Kind::kNamespace:
      out.literal("<Namespace ");
      print_map(out, value.as_map(), depth);
      return out.literal(">");
    case Kind::kObject:
      return out.literal(value.as_object().text());
  }
}

Value to_string(Budget& budget, const Value& value) {
  if (value.is(Kind::kString)) return value;
  TextBuilder out(budget);
  print(out, value);
  return out.value();
}

}  // namespace hearth::templates
