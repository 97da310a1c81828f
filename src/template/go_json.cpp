// JSON as Go's encoding/json writes it: compact, keys of maps sorted, < > & escaped.
#include <charconv>
#include <cmath>

#include "template/go_values.h"

namespace hearth::templates::go {
namespace {

class Writer {
 public:
  explicit Writer(TextBuilder& out) : out_(out) {}

  void write(const Value& value, int depth) {
    check_depth(depth);
    out_.budget().work(1);
    switch (value.kind()) {
      case Kind::kBool:
        return put(value.as_bool() ? "true" : "false");
      case Kind::kInt:
        return put(std::to_string(value.as_int()));
      case Kind::kBig:
        return put(value.text());
      case Kind::kFloat:
        return number(value.as_float());
      case Kind::kString:
        return string(value.as_string());
      case Kind::kList:
        return list(value, depth);
      case Kind::kMap:
        return is_nil(value) ? put("null") : map(value.as_map(), depth);
      default:
        return put("null");
    }
  }

 private:
  void put(std::string_view text) { out_.append(text, Origin::kUser); }

  // Plain from 1e-6 up to 1e21, else with an exponent of no leading zero.
  void number(double value) {
    if (!std::isfinite(value)) fail("{} has no form in JSON", go::float_text(value));
    const double size = std::abs(value);
    const bool plain = size == 0 || (size >= 1e-6 && size < 1e21);
    char buffer[400];
    const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
    std::string text(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value, format).ptr);
    if (!plain && text.size() > 4 && text[text.size() - 4] == 'e' && text[text.size() - 3] == '-' &&
        text[text.size() - 2] == '0') {
      text.erase(text.size() - 2, 1);
    }
    put(text);
  }

  void string(const String& string) {
    put("\"");
    each_piece(string, 0, string.text.size(), [this](std::string_view text, Origin origin) {
      std::string escaped;
      for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool separator = text.substr(i).starts_with("\u2028") || text.substr(i).starts_with("\u2029");
        if (separator) {
          escaped += text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
          i += 2;
        } else {
          escape(c, &escaped);
        }
      }
      out_.append(escaped, origin);
    });
    put("\"");
  }

  static void escape(char c, std::string* out) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      *out += {'\\', c};
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\r') {
      *out += "\\r";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (byte < 0x20 || c == '<' || c == '>' || c == '&') {
      *out += fmt::format("\\u{:04x}", byte);
    } else {
      *out += c;
    }
  }

  void list(const Value& value, int depth) {
    if (is_nil(value)) return put("null");
    const templates::List& list = value.as_list();
    if (one_stands_alone(value) && list.items.size() == 1) return write(list.items[0], depth + 1);
    put("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) put(",");
      write(list.items[i], depth + 1);
    }
    put("]");
  }

  void map(const Map& map, int depth) {
    put("{");
    const auto fields = map.go_type != nullptr ? map.go_type->fields : std::span<const Field>();
    bool first = true;
    const auto member = [&](const Value& value) {
      put(":");
      write(value, depth + 1);
    };
    for (const Field& field : fields) {
      const Value* value = map.find(field.name);
      if (value == nullptr || (field.omit_empty && !is_true(*value))) continue;
      if (!std::exchange(first, false)) put(",");
      put(fmt::format("\"{}\"", field.json));
      member(*value);
    }
    std::vector<const Map::Entry*> entries;
    const bool keeps_order = map.go_type != nullptr && map.go_type->is_closed;
    if (fields.empty() && !keeps_order) entries = sorted_entries(map);
    if (keeps_order) {
      for (const Map::Entry& entry : map.entries) entries.push_back(&entry);
    }
    for (const Map::Entry* entry : entries) {
      if (!std::exchange(first, false)) put(",");
      string(entry->key.as_string());
      member(entry->value);
    }
    put("}");
  }

  TextBuilder& out_;
};

}  // namespace

void write_json(TextBuilder& out, const Value& value, int depth) {
  Writer(out).write(value, depth);
}

}  // namespace hearth::templates::go
