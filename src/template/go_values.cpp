#include "template/go_values.h"

#include <charconv>
#include <cmath>

namespace hearth::templates::go {
namespace {

// The digits of a float and the place of its point, as the shortest text that reads back.
std::string scientific(double value) {
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr};
}
std::string fixed(double value) {
  char buffer[400];
  return {buffer, std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed).ptr};
}

void print_list(TextBuilder& out, const templates::List& list, int depth) {
  if (list.go_type != nullptr && list.go_type->one_stands_alone && list.items.size() < 2) {
    if (!list.items.empty()) print(out, list.items[0], depth + 1);
    return;
  }
  out.append("[", Origin::kUser);
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.append(" ", Origin::kUser);
    print(out, list.items[i], depth + 1);
  }
  out.append("]", Origin::kUser);
}

void print_map(TextBuilder& out, const Map& map, int depth) {
  const bool is_struct = map.go_type != nullptr && !map.go_type->fields.empty();
  std::vector<const Map::Entry*> entries;
  if (is_struct) {
    for (const Map::Entry& entry : map.entries) entries.push_back(&entry);
  } else {
    entries = sorted_entries(map);
  }
  out.append(is_struct ? "{" : "map[", Origin::kUser);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out.append(" ", Origin::kUser);
    if (!is_struct) {
      print(out, entries[i]->key, depth + 1);
      out.append(":", Origin::kUser);
    }
    print(out, entries[i]->value, depth + 1);
  }
  out.append(is_struct ? "}" : "]", Origin::kUser);
}

}  // namespace

bool is_nil(const Value& value) {
  if (value.is(Kind::kList)) return value.as_list().is_nil;
  if (value.is(Kind::kMap)) return value.as_map().is_nil;
  return value.is(Kind::kNone);
}

Value nil_list(Budget& budget, const Type* type) {
  templates::List* list = make_list(budget);
  list->go_type = type;
  list->is_nil = true;
  return Value::list(list);
}

Value nil_map(Budget& budget, const Type* type) {
  Map* map = budget.make<Map>(budget);
  map->go_type = type;
  map->is_nil = true;
  return Value::map(map);
}

bool is_true(const Value& value) {
  return is_struct(value) || (is_closed(value) && !is_nil(value)) || templates::truth(value);
}

std::string go_type(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
    case Kind::kMissing:
      return "<nil>";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBig:
      return "int";
    case Kind::kFloat:
      return "float64";
    case Kind::kString:
      return "string";
    case Kind::kList:
      return "[]interface {}";
    default:
      return is_struct(value) ? "struct" : "map[string]interface {}";
  }
}

std::vector<const Map::Entry*> sorted_entries(const Map& map) {
  std::vector<const Map::Entry*> entries;
  for (const Map::Entry& entry : map.entries) entries.push_back(&entry);
  std::ranges::sort(entries, [](const Map::Entry* a, const Map::Entry* b) { return a->key.text() < b->key.text(); });
  return entries;
}

// As strconv's format 'g' with the shortest precision: with an exponent from 1e6 on and below 1e-4.
std::string float_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Inf" : "+Inf";
  const std::string text = scientific(value);
  const int exponent = std::stoi(text.substr(text.find('e') + 1));
  return exponent < -4 || exponent >= 6 ? text : fixed(value);
}

namespace {
const Type* type_of(const Value& value) {
  return value.is(Kind::kList) ? value.as_list().go_type : value.is(Kind::kMap) ? value.as_map().go_type : nullptr;
}
}  // namespace

bool prints_as_json(const Value& value) {
  const Type* type = type_of(value);
  return type != nullptr && type->prints_as_json;
}

bool one_stands_alone(const Value& value) {
  const Type* type = type_of(value);
  return type != nullptr && type->one_stands_alone;
}

void print(TextBuilder& out, const Value& value, int depth) {
  check_depth(depth);
  out.budget().work(1);
  switch (value.kind()) {
    case Kind::kString:
      return out.append(value.as_string());
    case Kind::kBool:
      return out.literal(value.as_bool() ? "true" : "false");
    case Kind::kInt:
      return out.literal(std::to_string(value.as_int()));
    case Kind::kBig:
      return out.literal(value.text());
    case Kind::kFloat:
      return out.literal(float_text(value.as_float()));
    case Kind::kList:
    case Kind::kMap: {
      const bool nil_json_map = value.is(Kind::kMap) && is_nil(value) && prints_as_json(value);
      if (nil_json_map) return out.append("{}", Origin::kUser);
      if (prints_as_json(value)) return write_json(out, value, depth);
      return value.is(Kind::kList) ? print_list(out, value.as_list(), depth) : print_map(out, value.as_map(), depth);
    }
    default:
      return out.literal("<nil>");
  }
}

Value plain_data(Budget& budget, const Value& json, int depth) {
  check_depth(depth);
  switch (json.kind()) {
    case Kind::kInt:
    case Kind::kBig:
      return Value::number(to_double(json));
    case Kind::kList: {
      templates::List* list = make_list(budget);
      for (const Value& item : json.as_list().items) list->items.push_back(plain_data(budget, item, depth + 1));
      return Value::list(list);
    }
    case Kind::kMap: {
      const Map& given = json.as_map();
      const Value* integer = given.entries.size() == 1 ? given.find("$int") : nullptr;
      if (integer != nullptr && integer->is(Kind::kInt)) return *integer;
      Map* map = budget.make<Map>(budget);
      for (const auto& [key, value] : given.entries) map->set(key, plain_data(budget, value, depth + 1));
      return Value::map(map);
    }
    default:
      return json;
  }
}

}  // namespace hearth::templates::go
