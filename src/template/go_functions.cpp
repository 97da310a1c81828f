#include "template/go_functions.h"

#include <cmath>

namespace hearth::templates::go {
namespace {

using Arguments = std::span<const Value>;

enum class Basic : uint8_t { kNone, kBool, kInt, kFloat, kString, kOther };
Basic basic(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return Basic::kNone;
    case Kind::kBool:
      return Basic::kBool;
    case Kind::kInt:
      return Basic::kInt;
    case Kind::kFloat:
      return Basic::kFloat;
    case Kind::kString:
      return Basic::kString;
    default:
      return Basic::kOther;
  }
}

// Pointers to structs can be compared; slices, maps and structs with such cannot.
void check_comparable(const Value& value) {
  const Type* type = value.is(Kind::kMap) ? value.as_map().go_type : nullptr;
  const bool pointer = type != nullptr && type->is_pointer;
  if (basic(value) == Basic::kOther && !pointer) fail("values of type {} cannot be compared", go_type(value));
}

bool equal_values(Budget& budget, const Value& a, const Value& b) {
  if (basic(a) != basic(b)) {
    if (basic(a) != Basic::kNone && basic(b) != Basic::kNone)
      fail("eq cannot compare {} and {}", go_type(a), go_type(b));
    return false;
  }
  if (basic(a) == Basic::kOther) {
    check_comparable(b);
    return a.identity() == b.identity();
  }
  return equal(budget, a, b);
}

Value eq(const CallContext& context, Arguments arguments) {
  check_comparable(arguments[0]);
  for (const Value& other : arguments.subspan(1)) {
    if (equal_values(context.budget, arguments[0], other)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

Value ne(const CallContext& context, Arguments arguments) {
  check_comparable(arguments[0]);
  return Value::boolean(!equal_values(context.budget, arguments[0], arguments[1]));
}

bool below(const CallContext& context, const Value& a, const Value& b) {
  const bool ordered = basic(a) == Basic::kInt || basic(a) == Basic::kFloat || basic(a) == Basic::kString;
  if (basic(a) != basic(b) || !ordered) fail("{} and {} have no order", go_type(a), go_type(b));
  return less(context.budget, a, b);
}
Value lt(const CallContext& context, Arguments arguments) {
  return Value::boolean(below(context, arguments[0], arguments[1]));
}
Value le(const CallContext& context, Arguments arguments) {
  return Value::boolean(below(context, arguments[0], arguments[1]) ||
                        equal_values(context.budget, arguments[0], arguments[1]));
}
Value gt(const CallContext& context, Arguments arguments) {
  return Value::boolean(!is_true(le(context, arguments)));
}
Value ge(const CallContext& context, Arguments arguments) {
  return Value::boolean(!is_true(lt(context, arguments)));
}

Value negation(const CallContext&, Arguments arguments) {
  return Value::boolean(!is_true(arguments[0]));
}

int64_t size_of(const Value& value) {
  if (value.is(Kind::kString)) return static_cast<int64_t>(value.text().size());
  if (value.is(Kind::kList)) return static_cast<int64_t>(value.as_list().items.size());
  if (!is_open_map(value)) fail("a value of type {} has no length", go_type(value));
  return static_cast<int64_t>(value.as_map().entries.size());
}
Value len(const CallContext&, Arguments arguments) {
  return Value::integer(size_of(arguments[0]));
}

int64_t position(const Value& index, int64_t size, bool may_be_end) {
  if (!index.is(Kind::kInt)) fail("an index must be an integer, not {}", go_type(index));
  const int64_t at = index.as_int();
  if (at < 0 || at > size || (at == size && !may_be_end)) fail("the index {} is out of range", at);
  return at;
}

Value one_item(const CallContext& context, const Value& value, const Value& index) {
  if (value.is(Kind::kList)) {
    return value.as_list().items[static_cast<size_t>(position(index, size_of(value), false))];
  }
  if (value.is(Kind::kString)) {
    return Value::integer(
        static_cast<uint8_t>(value.text()[static_cast<size_t>(position(index, size_of(value), false))]));
  }
  if (value.is(Kind::kNone)) fail("nil has no items");
  size_of(value);  // fails for what is no map
  if (!index.is(Kind::kString)) fail("the key of a map must be a text, not {}", go_type(index));
  return field(context.budget, value, std::string(index.text()));
}

Value index(const CallContext& context, Arguments arguments) {
  Value value = arguments[0];
  for (const Value& key : arguments.subspan(1)) value = one_item(context, value, key);
  return value;
}

Value slice(const CallContext& context, Arguments arguments) {
  const Value& value = arguments[0];
  const bool text = value.is(Kind::kString);
  if (!text && !value.is(Kind::kList)) fail("a value of type {} has no slices", go_type(value));
  if (text && arguments.size() == 4) fail("a text cannot be sliced with three indexes");
  const int64_t size = size_of(value);
  const int64_t begin = arguments.size() > 1 ? position(arguments[1], size, true) : 0;
  const int64_t end = arguments.size() > 2 ? position(arguments[2], size, true) : size;
  const int64_t capacity = arguments.size() > 3 ? position(arguments[3], size, true) : size;
  if (begin > end || end > capacity) fail("the bounds of a slice are in the wrong order");
  if (text) {
    const bool whole = begin == size || !unicode::continues(value.text()[static_cast<size_t>(begin)]);
    const bool also = end == size || !unicode::continues(value.text()[static_cast<size_t>(end)]);
    if (!whole || !also) fail("a slice of a text would cut a character");
    return substring(context.budget, value.as_string(), static_cast<size_t>(begin), static_cast<size_t>(end));
  }
  templates::List* part = make_list(context.budget);
  const auto& items = value.as_list().items;
  context.budget.work(static_cast<uint64_t>(end - begin));
  part->go_type = value.as_list().go_type;
  part->is_nil = value.as_list().is_nil;
  part->items.assign(items.begin() + begin, items.begin() + end);
  return Value::list(part);
}

Value print_function(const CallContext& context, Arguments arguments) {
  return print_all(context.budget, arguments);
}

Value println_function(const CallContext& context, Arguments arguments) {
  TextBuilder out(context.budget);
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (i > 0) out.literal(" ");
    print(out, arguments[i]);
  }
  out.literal("\n");
  return out.value();
}

Value printf_function(const CallContext& context, Arguments arguments) {
  if (!arguments[0].is(Kind::kString)) fail("the format of printf must be a text");
  return print_formatted(context.budget, arguments[0].as_string(), arguments.subspan(1));
}

// What the escaping functions work on: the text itself, or all values as they print.
const String& text_of(const CallContext& context, Arguments arguments) {
  if (arguments.size() == 1 && arguments[0].is(Kind::kString)) return arguments[0].as_string();
  std::vector<Value> values(arguments.begin(), arguments.end());
  for (Value& value : values) {
    if (value.is(Kind::kNone)) value = make_string(context.budget, "<no value>");
  }
  return print_all(context.budget, values).as_string();
}

Value html(const CallContext& context, Arguments arguments) {
  return map_characters(context.budget, text_of(context, arguments), [](uint32_t code, std::string* out) {
    static constexpr std::string_view kFrom = "\"'&<>";
    static constexpr std::string_view kTo[] = {"&#34;", "&#39;", "&amp;", "&lt;", "&gt;"};
    const size_t known = code < 0x80 ? kFrom.find(static_cast<char>(code)) : std::string_view::npos;
    if (known != std::string_view::npos && code != 0) return void(out->append(kTo[known]));
    unicode::append(code == 0 ? 0xFFFD : code, out);
  });
}

Value js(const CallContext& context, Arguments arguments) {
  return map_characters(context.budget, text_of(context, arguments), [](uint32_t code, std::string* out) {
    if (code == '\\' || code == '\'' || code == '"') {
      *out += {'\\', static_cast<char>(code)};
    } else if (code < 0x20 || code == '<' || code == '>' || code == '&' || code == '=') {
      *out += fmt::format("\\u{:04X}", code);
    } else if (code < 0x80 || unicode::is_printable(code)) {
      unicode::append(code, out);
    } else {
      *out += fmt::format("\\u{:04X}", code);
    }
  });
}

Value urlquery(const CallContext& context, Arguments arguments) {
  return map_characters(context.budget, text_of(context, arguments), [](uint32_t code, std::string* out) {
    const bool plain = (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
                       code == '-' || code == '_' || code == '.' || code == '~';
    if (plain || code == ' ') {
      *out += code == ' ' ? '+' : static_cast<char>(code);
      return;
    }
    std::string bytes;
    unicode::append(code, &bytes);
    for (const char byte : bytes) *out += fmt::format("%{:02X}", static_cast<uint8_t>(byte));
  });
}

Value json(const CallContext& context, Arguments arguments) {
  TextBuilder out(context.budget);
  write_json(out, arguments[0]);
  return out.value();
}

Value date(const CallContext& context, Arguments arguments, int days_before) {
  for (const Value& argument : arguments) {
    if (!argument.is(Kind::kString)) fail("a date's argument must be a text, not {}", go_type(argument));
  }
  std::tm day = context.now;
  day.tm_mday -= days_before;
  day.tm_hour = 12;
  day.tm_isdst = -1;
  if (days_before != 0) ::timegm(&day);
  return make_string(context.budget, fmt::format("{:04}-{:02}-{:02}", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday));
}
Value current_date(const CallContext& context, Arguments arguments) {
  return date(context, arguments, 0);
}
Value yesterday_date(const CallContext& context, Arguments arguments) {
  return date(context, arguments, 1);
}

std::string type_script_name(std::string_view name) {
  if (name == "string" || name == "boolean" || name == "null") return std::string(name);
  if (name == "number" || name == "integer") return "number";
  return name == "array" ? "any[]" : name == "object" ? "Record<string, any>" : "any";
}

std::string type_script(const Value& property, int depth) {
  check_depth(depth);
  const bool has_type = is_struct(property) && property.as_map().find("AnyOf") && property.as_map().find("Type");
  if (!has_type) return "any";
  std::string names;
  const auto add = [&names](const std::string& name) { names += names.empty() ? name : " | " + name; };
  const auto& options = property.as_map().find("AnyOf")->as_list().items;
  for (const Value& option : options) add(type_script(option, depth + 1));
  if (options.empty()) {
    for (const Value& name : property.as_map().find("Type")->as_list().items) add(type_script_name(name.text()));
  }
  return names.empty() ? "any" : names;
}
Value to_type_script(const CallContext& context, Arguments arguments) {
  return make_string(context.budget, type_script(arguments[0], 0));
}

Value call(const CallContext&, Arguments arguments) {
  fail("a value of type {} cannot be called", go_type(arguments[0]));
}

constexpr size_t kAny = SIZE_MAX;
constexpr FunctionEntry kFunctions[] = {{"and", nullptr, 1, kAny},
                                        {"or", nullptr, 1, kAny},
                                        {"not", negation, 1, 1},
                                        {"eq", eq, 2, kAny},
                                        {"ne", ne, 2, 2},
                                        {"lt", lt, 2, 2},
                                        {"le", le, 2, 2},
                                        {"gt", gt, 2, 2},
                                        {"ge", ge, 2, 2},
                                        {"len", len, 1, 1},
                                        {"index", index, 1, kAny},
                                        {"slice", slice, 1, 4},
                                        {"print", print_function, 0, kAny},
                                        {"println", println_function, 0, kAny},
                                        {"printf", printf_function, 1, kAny},
                                        {"html", html, 0, kAny},
                                        {"js", js, 0, kAny},
                                        {"urlquery", urlquery, 0, kAny},
                                        {"call", call, 1, kAny},
                                        {"json", json, 1, 1},
                                        {"currentDate", current_date, 0, kAny},
                                        {"yesterdayDate", yesterday_date, 0, kAny},
                                        {"toTypeScriptType", to_type_script, 1, 1}};

}  // namespace

const FunctionEntry* find_function(std::string_view name) {
  const auto found = std::ranges::find(kFunctions, name, &FunctionEntry::name);
  return found == std::end(kFunctions) ? nullptr : &*found;
}

bool is_function(std::string_view name) {
  return find_function(name) != nullptr;
}

Value field(Budget& budget, const Value& value, const std::string& name) {
  if (value.is(Kind::kNone)) fail("nil has no field {}", name);
  if (value.is(Kind::kMap) && !is_closed(value)) {
    if (const Value* found = value.as_map().find(name)) return *found;
    if (!is_struct(value)) return Value::none();  // a missing key: the zero value
  }
  budget.work(1);
  fail("a value of type {} has no field {}", go_type(value), name);
}

}  // namespace hearth::templates::go
