// The filters that apply others: map, select, reject and their kin; and the table of all filters.
#include <unordered_map>

#include "template/jinja_filters.h"

namespace hearth::templates {
namespace {

Value map(Render& render, const Value& self, const Arguments& arguments) {
  List* result = render.list(Sequence::kGenerator);
  if (!truth(self)) return Value::list(result);
  if (arguments.positional.empty()) {
    const auto [path, fallback] = bind_arguments<2>(arguments, {"attribute", "default"}, 1);
    for (const Value& item : iterate(render, self)->items) {
      const Value part = part_of(render, item, path);
      result->items.push_back(part.is(Kind::kUndefined) && !fallback.is_missing() ? fallback : part);
    }
    return Value::list(result);
  }
  const String& name = to_text(arguments.positional[0]);
  const Builtin filter = find_filter(name.text);
  if (filter == nullptr) fail("there is no filter named '{}'", name.text);
  const Arguments rest{arguments.positional.subspan(1), arguments.named};
  const Budget::Nested nested(render.budget());
  for (const Value& item : iterate(render, self)->items) {
    render.budget().work(1);
    result->items.push_back(filter(render, item, rest));
  }
  return Value::list(result);
}

// Items for which a test holds, or does not; of the item's attribute if `of_attribute`.
Value choose(Render& render, const Value& self, const Arguments& arguments, bool wanted, bool of_attribute) {
  std::span<const Value> given = arguments.positional;
  Value path;
  if (of_attribute) {
    if (given.empty()) fail("the name of an attribute is missing");
    path = given[0];
    given = given.subspan(1);
  }
  Test test = nullptr;
  if (!given.empty()) {
    test = find_test(to_text(given[0]).text);
    if (test == nullptr) fail("there is no test named '{}'", given[0].text());
    given = given.subspan(1);
  }
  List* result = render.list(Sequence::kGenerator);
  if (!truth(self)) return Value::list(result);
  for (const Value& item : iterate(render, self)->items) {
    render.budget().work(1);
    const Value value = part_of(render, item, path);
    const bool holds = test != nullptr ? test(render, value, {given, arguments.named}) : truth(value);
    if (holds == wanted) result->items.push_back(item);
  }
  return Value::list(result);
}

template <bool kWanted, bool kOfAttribute>
Value chosen(Render& render, const Value& self, const Arguments& arguments) {
  return choose(render, self, arguments, kWanted, kOfAttribute);
}

}  // namespace

FilterTable selecting_filters() {
  static constexpr std::pair<std::string_view, Builtin> kFilters[] = {{"map", map},
                                                                      {"select", chosen<true, false>},
                                                                      {"reject", chosen<false, false>},
                                                                      {"selectattr", chosen<true, true>},
                                                                      {"rejectattr", chosen<false, true>}};
  return kFilters;
}

Builtin find_filter(std::string_view name) {
  static const auto kAll = [] {
    std::unordered_map<std::string_view, Builtin> all;
    for (const FilterTable table : {text_filters(), number_filters(), list_filters(), selecting_filters()}) {
      all.insert(table.begin(), table.end());
    }
    return all;
  }();
  const auto found = kAll.find(name);
  return found == kAll.end() ? nullptr : found->second;
}

}  // namespace hearth::templates
