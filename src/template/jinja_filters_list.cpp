#include "template/jinja_filters.h"
#include "template/jinja_string_methods.h"

namespace hearth::templates {
namespace {

Value filter_length(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  return Value::integer(length(render, self));
}

Value otherwise(Render& render, const Value& self, const Arguments& arguments) {
  const auto [value, also_false] = bind_arguments<2>(arguments, {"default_value", "boolean"});
  const bool replaces = self.is(Kind::kUndefined) || (truth(also_false) && !truth(self));
  if (!replaces) return self;
  return value.is_missing() ? render.text("") : value;
}

Value first(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  const List* items = iterate(render, self);
  return items->items.empty() ? Value::undefined(nullptr) : items->items.front();
}

Value last(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  const List* items = iterate(render, self);
  return items->items.empty() ? Value::undefined(nullptr) : items->items.back();
}

Value random(Render& render, const Value& self, const Arguments& arguments) {
  return first(render, self, arguments);  // renders are reproducible, so it is always the same one
}

Value join(Render& render, const Value& self, const Arguments& arguments) {
  const auto [separator, path] = bind_arguments<2>(arguments, {"d", "attribute"});
  const List* items = iterate(render, self);
  List* parts = render.list();
  for (const Value& item : items->items) parts->items.push_back(part_of(render, item, path));
  const Value between = separator.is_missing() ? render.text("") : to_string(render.budget(), separator);
  return joined(render, between.as_string(), *parts, true);
}

Value list(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  List* copy = render.list();
  copy->items = iterate(render, self)->items;
  render.budget().work(copy->items.size());
  return Value::list(copy);
}

Value reverse(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  if (self.is(Kind::kString)) return slice(render, self, Value(), Value(), Value::integer(-1));
  List* backwards = render.list(Sequence::kGenerator);
  const List* items = iterate(render, self);
  backwards->items.assign(items->items.rbegin(), items->items.rend());
  render.budget().work(backwards->items.size());
  return Value::list(backwards);
}

// The values by which items are sorted: one for each of the paths in "a.b,c".
Value sort_key(Render& render, const Value& item, const Value& paths, bool case_sensitive) {
  if (!paths.is(Kind::kString)) return comparison_key(render, part_of(render, item, paths), case_sensitive);
  List* keys = render.list();
  const String& text = paths.as_string();
  for (size_t at = 0; at <= text.text.size();) {
    const size_t end = std::min(text.text.find(',', at), text.text.size());
    const Value path = substring(render.budget(), text, at, end);
    keys->items.push_back(comparison_key(render, part_of(render, item, path), case_sensitive));
    at = end + 1;
  }
  return Value::list(keys);
}

struct Keyed {
  Value key, item;
};

List* sorted(Render& render, std::vector<Keyed> items, bool backwards) {
  Budget& budget = render.budget();
  std::ranges::stable_sort(items, [&](const Keyed& a, const Keyed& b) {
    return backwards ? less(budget, b.key, a.key) : less(budget, a.key, b.key);
  });
  List* result = render.list();
  for (const Keyed& keyed : items) result->items.push_back(keyed.item);
  return result;
}

Value sort(Render& render, const Value& self, const Arguments& arguments) {
  const auto [backwards, case_sensitive, path] =
      bind_arguments<3>(arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> items;
  for (const Value& item : iterate(render, self)->items) {
    items.push_back({sort_key(render, item, path, truth(case_sensitive)), item});
  }
  return Value::list(sorted(render, std::move(items), truth(backwards)));
}

Value dictsort(Render& render, const Value& self, const Arguments& arguments) {
  const auto [case_sensitive, by, backwards] = bind_arguments<3>(arguments, {"case_sensitive", "by", "reverse"});
  if (self.is(Kind::kUndefined)) fail_undefined(self);
  if (!self.is(Kind::kMap)) fail("dictsort() needs a map, not a value of type '{}'", type_name(self));
  const std::string_view what = by.is_missing() ? "key" : to_text(by).text;
  if (what != "key" && what != "value") fail("dictsort() sorts by key or value");
  std::vector<Keyed> items;
  for (const auto& [key, value] : self.as_map().entries) {
    const Value sorts = comparison_key(render, what == "key" ? key : value, truth(case_sensitive));
    items.push_back({sorts, make_pair(render.budget(), key, value)});
  }
  return Value::list(sorted(render, std::move(items), truth(backwards)));
}

Value items(Render& render, const Value& self, const Arguments& arguments) {
  bind_arguments<0>(arguments, {});
  List* pairs = render.list(Sequence::kGenerator);
  if (self.is(Kind::kUndefined)) return Value::list(pairs);
  if (!self.is(Kind::kMap)) fail("only a map has items, not a value of type '{}'", type_name(self));
  for (const auto& [key, value] : self.as_map().entries) pairs->items.push_back(make_pair(render.budget(), key, value));
  return Value::list(pairs);
}

Value unique(Render& render, const Value& self, const Arguments& arguments) {
  const auto [case_sensitive, path] = bind_arguments<2>(arguments, {"case_sensitive", "attribute"});
  Map* seen = render.budget().make<Map>(render.budget());
  List* result = render.list(Sequence::kGenerator);
  for (const Value& item : iterate(render, self)->items) {
    const Value key = comparison_key(render, part_of(render, item, path), truth(case_sensitive));
    if (seen->find(key) != nullptr) continue;
    seen->set(key, Value::none());
    result->items.push_back(item);
  }
  return Value::list(result);
}

Value extreme(Render& render, const Value& self, const Arguments& arguments, bool largest) {
  const auto [case_sensitive, path] = bind_arguments<2>(arguments, {"case_sensitive", "attribute"});
  Value best, best_key;
  for (const Value& item : iterate(render, self)->items) {
    const Value key = comparison_key(render, part_of(render, item, path), truth(case_sensitive));
    const bool better =
        best.is_missing() || (largest ? less(render.budget(), best_key, key) : less(render.budget(), key, best_key));
    if (!better) continue;
    best = item;
    best_key = key;
  }
  return best.is_missing() ? Value::undefined(nullptr) : best;
}
Value min(Render& render, const Value& self, const Arguments& arguments) {
  return extreme(render, self, arguments, false);
}
Value max(Render& render, const Value& self, const Arguments& arguments) {
  return extreme(render, self, arguments, true);
}

Value sum(Render& render, const Value& self, const Arguments& arguments) {
  const auto [path, start] = bind_arguments<2>(arguments, {"attribute", "start"});
  Value total = start.is_missing() ? Value::integer(0) : start;
  for (const Value& item : iterate(render, self)->items) {
    total = calculate(render, Operator::kAdd, total, part_of(render, item, path));
  }
  return total;
}

// Lists of `size` items each; the last filled up with `fill` if that is given.
Value batch(Render& render, const Value& self, const Arguments& arguments) {
  const auto [size, fill] = bind_arguments<2>(arguments, {"linecount", "fill_with"}, 1);
  const int64_t count = to_integer(size);
  if (count < 1 || count > kMaxRange) fail("batch() needs a size from 1 to {}", kMaxRange);
  List* batches = render.list(Sequence::kGenerator);
  List* now = nullptr;
  for (const Value& item : iterate(render, self)->items) {
    if (now == nullptr || static_cast<int64_t>(now->items.size()) == count) {
      now = render.list();
      batches->items.push_back(Value::list(now));
    }
    now->items.push_back(item);
  }
  while (now != nullptr && !fill.is_missing() && !fill.is(Kind::kNone) &&
         static_cast<int64_t>(now->items.size()) < count) {
    now->items.push_back(fill);
  }
  return Value::list(batches);
}

// `count` lists of about equal length; the shorter ones filled up with `fill` if that is given.
Value slices(Render& render, const Value& self, const Arguments& arguments) {
  const auto [slices, fill] = bind_arguments<2>(arguments, {"slices", "fill_with"}, 1);
  const int64_t count = to_integer(slices);
  if (count < 1 || count > kMaxRange) fail("slice() needs a number from 1 to {}", kMaxRange);
  const auto& items = iterate(render, self)->items;
  const size_t parts = static_cast<size_t>(count), each = items.size() / parts, longer = items.size() % parts;
  List* result = render.list(Sequence::kGenerator);
  for (size_t i = 0, at = 0; i < parts; ++i) {
    render.budget().work(1);
    List* part = render.list();
    const size_t size = each + (i < longer ? 1 : 0);
    part->items.assign(items.begin() + static_cast<ptrdiff_t>(at), items.begin() + static_cast<ptrdiff_t>(at + size));
    if (i >= longer && !fill.is_missing() && !fill.is(Kind::kNone)) part->items.push_back(fill);
    at += size;
    result->items.push_back(Value::list(part));
  }
  return Value::list(result);
}

Value groupby(Render& render, const Value& self, const Arguments& arguments) {
  const auto [path, fallback, case_sensitive] =
      bind_arguments<3>(arguments, {"attribute", "default", "case_sensitive"}, 1);
  std::vector<Keyed> all;
  for (const Value& item : iterate(render, self)->items) {
    Value key = part_of(render, item, path);
    if (key.is(Kind::kUndefined) && !fallback.is_missing()) key = fallback;
    all.push_back({comparison_key(render, key, truth(case_sensitive)), make_pair(render.budget(), key, item)});
  }
  List* groups = render.list();
  const List* ordered = sorted(render, all, false);
  Value last_key;
  for (const Value& pair : ordered->items) {
    const Value &key = pair.as_list().items[0], compared = comparison_key(render, key, truth(case_sensitive));
    if (last_key.is_missing() || !equal(render.budget(), last_key, compared)) {
      groups->items.push_back(make_pair(render.budget(), key, Value::list(render.list())));
      groups->items.back().as_list().is_group = true;
      last_key = compared;
    }
    groups->items.back().as_list().items[1].as_list().items.push_back(pair.as_list().items[1]);
  }
  return Value::list(groups);
}

// Unlike `value.name`, never the entry of a map.
Value attr(Render& render, const Value& self, const Arguments& arguments) {
  const auto [name] = bind_arguments<1>(arguments, {"name"}, 1);
  if (self.is(Kind::kMap) && find_methods(to_text(name).text).map == nullptr) {
    return Value::undefined(&name.as_string(), Kind::kMap);
  }
  return attribute(render, self, to_text(name));
}

Value pprint(Render& render, const Value& self, const Arguments&) {
  TextBuilder out(render.budget());
  print_quoted(out, self);
  return out.value();
}

}  // namespace

Value part_of(Render& render, const Value& whole, const Value& path) {
  if (path.is_missing() || path.is(Kind::kNone)) return whole;
  if (path.is(Kind::kInt)) return item(render, whole, path);
  Value value = whole;
  const String& text = to_text(path);
  for (size_t at = 0; at <= text.text.size();) {
    const size_t end = std::min(text.text.find('.', at), text.text.size());
    const std::string_view part = text.text.substr(at, end - at);
    const bool number =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string_view::npos;
    const Value key = number ? Value::integer(std::stol(std::string(part))) : substring(render.budget(), text, at, end);
    value = item(render, value, key);
    at = end + 1;
  }
  return value;
}

Value comparison_key(Render& render, const Value& value, bool case_sensitive) {
  return value.is(Kind::kString) && !case_sensitive ? lower_case(render, value.as_string()) : value;
}

FilterTable list_filters() {
  static constexpr std::pair<std::string_view, Builtin> kFilters[] = {{"length", filter_length},
                                                                      {"count", filter_length},
                                                                      {"default", otherwise},
                                                                      {"d", otherwise},
                                                                      {"first", first},
                                                                      {"last", last},
                                                                      {"random", random},
                                                                      {"join", join},
                                                                      {"list", list},
                                                                      {"reverse", reverse},
                                                                      {"sort", sort},
                                                                      {"dictsort", dictsort},
                                                                      {"items", items},
                                                                      {"unique", unique},
                                                                      {"min", min},
                                                                      {"max", max},
                                                                      {"sum", sum},
                                                                      {"batch", batch},
                                                                      {"slice", slices},
                                                                      {"groupby", groupby},
                                                                      {"attr", attr},
                                                                      {"pprint", pprint}};
  return kFilters;
}

}  // namespace hearth::templates
