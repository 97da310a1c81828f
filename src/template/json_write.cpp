#include <algorithm>

#include "template/json.h"
#include "template/printing.h"

namespace hearth::templates {
namespace {

class JsonWriter {
 public:
  JsonWriter(TextBuilder& out, const JsonStyle& style) : out_(out), style_(style) {}

  void write(const Value& value, size_t depth) {
    check_depth(static_cast<int>(depth));
    out_.budget().work(1);
    switch (value.kind()) {
      case Kind::kNone:
        return put("null");
      case Kind::kBool:
        return put(value.as_bool() ? "true" : "false");
      case Kind::kInt:
        return put(std::to_string(value.as_int()));
      case Kind::kBig:
        return put(value.text());
      case Kind::kFloat:
        return put(json_float(value.as_float()));
      case Kind::kString:
        return write_string(value.as_string());
      case Kind::kList:
        if (value.as_list().sequence > Sequence::kTuple) break;
        return write_list(value.as_list(), depth);
      case Kind::kMap:
        return write_map(value.as_map(), depth);
      default:
        break;
    }
    fail("a value of type {} has no form in JSON", type_name(value));
  }

 private:
  void put(std::string_view text) { out_.append(text, Origin::kUser); }

  static std::string json_float(double value) {
    const std::string text = float_text(value);
    return text == "nan" ? "NaN" : text == "inf" ? "Infinity" : text == "-inf" ? "-Infinity" : text;
  }

  void write_string(const String& string) {
    put("\"");
    each_piece(string, 0, string.text.size(), [this](std::string_view text, Origin origin) {
      std::string escaped;
      escaped.reserve(text.size() + 8);
      if (style_.ascii) {
        for (size_t at = 0; at < text.size(); at += unicode::width(text[at])) {
          escape_code(unicode::decode(text.substr(at)), &escaped);
        }
      } else {
        for (const char c : text) escape_byte(c, &escaped);
      }
      out_.append(escaped, origin);
    });
    put("\"");
  }

  static void escape_byte(char c, std::string* out) {
    switch (c) {
      case '"':
        *out += "\\\"";
        return;
      case '\\':
        *out += "\\\\";
        return;
      case '\n':
        *out += "\\n";
        return;
      case '\r':
        *out += "\\r";
        return;
      case '\t':
        *out += "\\t";
        return;
      case '\b':
        *out += "\\b";
        return;
      case '\f':
        *out += "\\f";
        return;
      default:
        if (static_cast<uint8_t>(c) < 0x20) {
          *out += fmt::format("\\u{:04x}", static_cast<uint8_t>(c));
        } else {
          *out += c;
        }
    }
  }

  static void escape_code(uint32_t code, std::string* out) {
    if (code < 0x7F) {
      escape_byte(static_cast<char>(code), out);
    } else if (code < 0x10000) {
      *out += fmt::format("\\u{:04x}", code);
    } else {
      *out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }

  void new_line(size_t depth) {
    if (!style_.lines) return;
    put("\n");
    for (size_t i = 0; i < depth; ++i) put(style_.indent);
  }

  void write_list(const List& list, size_t depth) {
    if (list.items.empty()) return put("[]");
    put("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) put(style_.item_separator);
      new_line(depth + 1);
      write(list.items[i], depth + 1);
    }
    new_line(depth);
    put("]");
  }

  void write_map(const Map& map, size_t depth) {
    if (map.entries.empty()) return put("{}");
    std::vector<const Map::Entry*> order;
    for (const Map::Entry& entry : map.entries) order.push_back(&entry);
    if (style_.sort_keys) {
      std::ranges::stable_sort(
          order, [this](const Map::Entry* a, const Map::Entry* b) { return less(out_.budget(), a->key, b->key); });
    }
    put("{");
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0) put(style_.item_separator);
      new_line(depth + 1);
      write_key(order[i]->key);
      put(style_.key_separator);
      write(order[i]->value, depth + 1);
    }
    new_line(depth);
    put("}");
  }

  void write_key(const Value& key) {
    if (key.is(Kind::kString)) return write_string(key.as_string());
    if (!key.is_number() && !key.is(Kind::kNone)) fail("a key of type {} has no form in JSON", type_name(key));
    put("\"");
    write(key, 0);
    put("\"");
  }

  TextBuilder& out_;
  const JsonStyle& style_;
};

}  // namespace

void write_json(TextBuilder& out, const Value& value, const JsonStyle& style) {
  JsonWriter(out, style).write(value, 0);
}

}  // namespace hearth::templates
