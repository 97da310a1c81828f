// The methods of lists, maps and numbers, as in Python. Lists may be changed; of a map, as in the sandbox that
// transformers renders in, nothing can be.
#include <bit>
#include <cmath>
#include <unordered_map>

#include "template/jinja_builtins.h"
#include "template/jinja_string_methods.h"

namespace hearth::templates {
namespace {

List& self_list(const Value& self) {
  if (self.as_list().sequence != Sequence::kList) fail("a tuple cannot be changed");
  return self.as_list();
}

// The position that list.insert() and list.pop() mean.
size_t position(const List& list, int64_t index, bool may_be_end) {
  const auto size = static_cast<int64_t>(list.items.size());
  if (index < 0) index += size;
  if (may_be_end) return static_cast<size_t>(std::clamp<int64_t>(index, 0, size));
  if (index < 0 || index >= size) fail("the list has no item number {}", index);
  return static_cast<size_t>(index);
}

size_t find_in_list(Render& render, const List& list, const Value& value) {
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (equal(render.budget(), list.items[i], value)) return i;
  }
  fail("the value is not in the list");
}

Value append(Render&, const Value& self, const Arguments& arguments) {
  const auto [value] = bind_arguments<1>(arguments, {"object"}, 1);
  self_list(self).items.push_back(value);
  return Value::none();
}

Value extend(Render& render, const Value& self, const Arguments& arguments) {
  const auto [more] = bind_arguments<1>(arguments, {"iterable"}, 1);
  const std::pmr::vector<Value> items = iterate(render, more)->items;
  render.budget().work(items.size());
  self_list(self).items.insert(self_list(self).items.end(), items.begin(), items.end());
  return Value::none();
}

Value insert(Render& render, const Value& self, const Arguments& arguments) {
  const auto [index, value] = bind_arguments<2>(arguments, {"index", "object"}, 2);
  List& list = self_list(self);
  render.budget().work(list.items.size() / 8);
  list.items.insert(list.items.begin() + static_cast<ptrdiff_t>(position(list, to_integer(index), true)), value);
  return Value::none();
}

Value pop(Render& render, const Value& self, const Arguments& arguments) {
  const auto [index] = bind_arguments<1>(arguments, {"index"});
  List& list = self_list(self);
  render.budget().work(list.items.size() / 8);
  const size_t at = position(list, integer_or(index, -1), false);
  const Value value = list.items[at];
  list.items.erase(list.items.begin() + static_cast<ptrdiff_t>(at));
  return value;
}

Value remove(Render& render, const Value& self, const Arguments& arguments) {
  const auto [value] = bind_arguments<1>(arguments, {"value"}, 1);
  List& list = self_list(self);
  list.items.erase(list.items.begin() + static_cast<ptrdiff_t>(find_in_list(render, list, value)));
  return Value::none();
}

Value clear(Render&, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  self_list(self).items.clear();
  return Value::none();
}

Value reverse(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  render.budget().work(self_list(self).items.size());
  std::ranges::reverse(self_list(self).items);
  return Value::none();
}

Value sort(Render& render, const Value& self, const Arguments& arguments) {
  const auto [backwards] = bind_arguments<1>(arguments, {"reverse"});
  const bool descending = truth(backwards);
  auto& items = self_list(self).items;
  std::ranges::stable_sort(items, [&](const Value& a, const Value& b) {
    return descending ? less(render.budget(), b, a) : less(render.budget(), a, b);
  });
  return Value::none();
}

Value index(Render& render, const Value& self, const Arguments& arguments) {
  const auto [value] = bind_arguments<1>(arguments, {"value"}, 1);
  return Value::integer(static_cast<int64_t>(find_in_list(render, self.as_list(), value)));
}

Value count(Render& render, const Value& self, const Arguments& arguments) {
  const auto [value] = bind_arguments<1>(arguments, {"value"}, 1);
  int64_t found = 0;
  for (const Value& item : self.as_list().items) found += equal(render.budget(), item, value) ? 1 : 0;
  return Value::integer(found);
}

Value copy_list(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  List* list = render.list(self.as_list().sequence);
  list->items = self.as_list().items;
  render.budget().work(list->items.size());
  return Value::list(list);
}

Value get(Render&, const Value& self, const Arguments& arguments) {
  const auto [key, otherwise] = bind_arguments<2>(arguments, {"key", "default"}, 1);
  if (const Value* found = self.as_map().find(key)) return *found;
  return otherwise.is_missing() ? Value::none() : otherwise;
}

Value keys(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  List* list = render.list(Sequence::kKeys);
  for (const Map::Entry& entry : self.as_map().entries) list->items.push_back(entry.key);
  return Value::list(list);
}

Value values(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  List* list = render.list(Sequence::kValues);
  for (const Map::Entry& entry : self.as_map().entries) list->items.push_back(entry.value);
  return Value::list(list);
}

Value items(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  List* list = render.list(Sequence::kItems);
  for (const auto& [key, value] : self.as_map().entries) list->items.push_back(make_pair(render.budget(), key, value));
  return Value::list(list);
}

Value copy_map(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  Map* map = render.budget().make<Map>(render.budget());
  for (const auto& [key, value] : self.as_map().entries) map->set(key, value);
  return Value::map(map);
}

Value unchangeable(Render&, const Value&, const Arguments&) {
  fail("a template may not change a map, only lists");
}

Value bit_length(Render&, const Value& self, const Arguments&) {
  const int64_t value = to_integer(self);
  return Value::integer(std::bit_width(value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value)));
}

Value is_integer(Render&, const Value& self, const Arguments&) {
  const double value = to_double(self);
  return Value::boolean(std::isfinite(value) && std::trunc(value) == value);
}

}  // namespace

Methods find_methods(std::string_view name) {
  static const std::unordered_map<std::string_view, Builtin> kList = {
      {"append", append}, {"extend", extend}, {"insert", insert},   {"pop", pop},
      {"remove", remove}, {"clear", clear},   {"reverse", reverse}, {"sort", sort},
      {"index", index},   {"count", count},   {"copy", copy_list}};
  static const std::unordered_map<std::string_view, Builtin> kMap = {{"get", get},
                                                                     {"keys", keys},
                                                                     {"values", values},
                                                                     {"items", items},
                                                                     {"copy", copy_map},
                                                                     {"pop", unchangeable},
                                                                     {"popitem", unchangeable},
                                                                     {"update", unchangeable},
                                                                     {"clear", unchangeable},
                                                                     {"setdefault", unchangeable}};
  static const std::unordered_map<std::string_view, Builtin> kNumber = {{"bit_length", bit_length},
                                                                        {"is_integer", is_integer}};
  const auto in = [name](const auto& table) {
    const auto found = table.find(name);
    return found == table.end() ? nullptr : found->second;
  };
  return {find_string_method(name), in(kList), in(kMap), in(kNumber)};
}

}  // namespace hearth::templates
