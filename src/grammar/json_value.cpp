#include "grammar/json_value.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>

#include "base/error.h"
#include "grammar/char_set.h"
#include "grammar/decimal.h"

namespace hearth::grammar {
namespace {

namespace json = boost::json;

constexpr size_t kMost_depth = 500;

// Receives the parts of a document from Boost's parser.
class Builder {
 public:
  static constexpr size_t max_object_size = SIZE_MAX, max_array_size = SIZE_MAX, max_key_size = SIZE_MAX,
                          max_string_size = SIZE_MAX;

  JsonValue take() { return std::move(result_); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return open(JsonValue::Type::kObject); }
  bool on_object_end(size_t, json::error_code&) { return close(); }
  bool on_array_begin(json::error_code&) { return open(JsonValue::Type::kArray); }
  bool on_array_end(size_t, json::error_code&) { return close(); }
  bool on_key_part(json::string_view part, size_t, json::error_code&) { return collect(part); }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    collect(part);
    keys_.push_back(std::exchange(text_, {}));
    return true;
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) { return collect(part); }
  bool on_string(json::string_view part, size_t, json::error_code&) { return add_text(JsonValue::Type::kString, part); }
  bool on_number_part(json::string_view part, json::error_code&) { return collect(part); }
  bool on_int64(int64_t, json::string_view part, json::error_code&) { return add_number(part); }
  bool on_uint64(uint64_t, json::string_view part, json::error_code&) { return add_number(part); }
  bool on_double(double, json::string_view part, json::error_code&) { return add_number(part); }
  bool on_bool(bool value, json::error_code&) {
    JsonValue boolean;
    boolean.type = JsonValue::Type::kBoolean;
    boolean.boolean = value;
    return add(std::move(boolean));
  }
  bool on_null(json::error_code&) { return add({}); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  bool collect(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool add_number(json::string_view part) { return add_text(JsonValue::Type::kNumber, part); }
  bool add_text(JsonValue::Type type, json::string_view part) {
    collect(part);
    JsonValue value;
    value.type = type;
    value.text = std::exchange(text_, {});
    return add(std::move(value));
  }
  bool open(JsonValue::Type type) {
    open_.emplace_back();
    open_.back().type = type;
    return true;
  }
  bool close() {
    JsonValue value = std::move(open_.back());
    open_.pop_back();
    return add(std::move(value));
  }
  bool add(JsonValue value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (open_.back().is(JsonValue::Type::kArray)) {
      open_.back().items.push_back(std::move(value));
    } else {
      auto& members = open_.back().members;
      const auto same = std::ranges::find(members, keys_.back(), &JsonMember::name);
      if (same != members.end()) {
        same->value = std::move(value);
      } else {
        members.push_back({std::move(keys_.back()), std::move(value)});
      }
      keys_.pop_back();
    }
    return true;
  }

  std::vector<JsonValue> open_;
  std::vector<std::string> keys_;
  std::string text_;
  JsonValue result_;
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view name) const {
  for (const auto& [key, value] : members) {
    if (key == name) return &value;
  }
  return nullptr;
}

Result<JsonValue> read_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMost_depth;
  json::basic_parser<Builder> parser(options);
  json::error_code failed;
  const size_t used = parser.write_some(false, text.data(), text.size(), failed);
  if (!failed && used < text.size()) failed = json::error::extra_data;
  if (failed) return error(ErrorKind::kInvalidData, "not valid JSON at byte {}: {}", used, failed.message());
  return parser.handler().take();
}

std::string write_json(const JsonValue& value) {
  std::string out;
  switch (value.type) {
    case JsonValue::Type::kNull:
      return "null";
    case JsonValue::Type::kBoolean:
      return value.boolean ? "true" : "false";
    case JsonValue::Type::kNumber:
      return value.text;
    case JsonValue::Type::kString:
      return '"' + json_escaped(value.text) + '"';
    case JsonValue::Type::kArray:
      for (const JsonValue& item : value.items) out += (out.empty() ? "" : ",") + write_json(item);
      return '[' + out + ']';
    case JsonValue::Type::kObject:
      for (const auto& [name, member] : value.members) {
        out += (out.empty() ? "\"" : ",\"") + json_escaped(name) + "\":" + write_json(member);
      }
      return '{' + out + '}';
  }
  return out;
}

bool equal(const JsonValue& a, const JsonValue& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case JsonValue::Type::kNull:
      return true;
    case JsonValue::Type::kBoolean:
      return a.boolean == b.boolean;
    case JsonValue::Type::kNumber: {
      const auto x = Decimal::parse(a.text), y = Decimal::parse(b.text);
      return x && y ? *x == *y : a.text == b.text;
    }
    case JsonValue::Type::kString:
      return a.text == b.text;
    case JsonValue::Type::kArray:
      return std::ranges::equal(a.items, b.items, equal);
    case JsonValue::Type::kObject:
      return a.members.size() == b.members.size() && std::ranges::all_of(a.members, [&](const auto& member) {
               const JsonValue* other = b.find(member.name);
               return other != nullptr && equal(member.value, *other);
             });
  }
  return false;
}

}  // namespace hearth::grammar
