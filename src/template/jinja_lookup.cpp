// What is inside of a value: attributes, items, slices; and calls.
#include "template/jinja_builtins.h"

namespace hearth::templates {
namespace {

// A method together with the value it belongs to.
struct BoundMethod : Object {
  BoundMethod(Builtin method, const Value& owner) : builtin(method), self(owner) {}
  bool callable() const override { return true; }
  std::string text() const override { return "<built-in method>"; }
  Value call(Render& render, const Arguments& arguments) override { return builtin(render, self, arguments); }

  Builtin builtin;
  Value self;
};

bool has_index(const Value& value) {
  return value.is(Kind::kString) || (value.is(Kind::kList) && value.as_list().sequence <= Sequence::kRange);
}

// Item number `index` of a text or list, from the end if negative; missing if there is none.
Value at(Render& render, const Value& value, int64_t index) {
  const int64_t size = length(render, value);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return {};
  if (value.is(Kind::kList)) return value.as_list().items[static_cast<size_t>(index)];
  const String& string = value.as_string();
  const bool ascii = static_cast<size_t>(size) == string.text.size();
  const size_t begin = ascii ? static_cast<size_t>(index) : unicode::offset(string.text, static_cast<size_t>(index));
  render.budget().work(ascii ? 1 : begin / 16);
  return substring(render.budget(), string, begin, begin + unicode::width(string.text[begin]));
}

const String* name_of_key(Render& render, const Value& key) {
  return key.is(Kind::kString) ? &key.as_string() : &to_string(render.budget(), key).as_string();
}

// The bounds of a slice as Python's slice.indices() gives them.
struct Bounds {
  int64_t begin, end, step;
};
Bounds bounds_of(const Value& begin, const Value& end, const Value& step, int64_t size) {
  const auto given = [](const Value& value) { return !value.is_missing() && !value.is(Kind::kNone); };
  Bounds bounds{0, 0, integer_or(step, 1)};
  if (bounds.step == 0) fail("the step of a slice is zero");
  const bool back = bounds.step < 0;
  const int64_t lowest = back ? -1 : 0, highest = back ? size - 1 : size;
  const auto clamp = [&](int64_t index) { return std::clamp(index < 0 ? index + size : index, lowest, highest); };
  bounds.begin = given(begin) ? clamp(to_integer(begin)) : back ? highest : lowest;
  bounds.end = given(end) ? clamp(to_integer(end)) : back ? lowest : highest;
  return bounds;
}

Value slice_text(Render& render, const String& string, const Bounds& bounds) {
  const auto size = static_cast<int64_t>(count_characters(string));
  render.budget().work(string.text.size() / 16);
  const bool ascii = static_cast<size_t>(size) == string.text.size();
  const auto offset = [&](int64_t index) {
    return ascii ? static_cast<size_t>(index) : unicode::offset(string.text, static_cast<size_t>(index));
  };
  if (bounds.step == 1) {
    return substring(render.budget(), string, offset(bounds.begin), offset(std::max(bounds.begin, bounds.end)));
  }
  std::vector<size_t> starts;
  for (size_t i = 0; i < string.text.size(); i += unicode::width(string.text[i])) starts.push_back(i);
  starts.push_back(string.text.size());
  TextBuilder out(render.budget());
  for (int64_t i = bounds.begin; bounds.step > 0 ? i < bounds.end : i > bounds.end;) {
    out.append(string, starts[static_cast<size_t>(i)], starts[static_cast<size_t>(i) + 1]);
    if (__builtin_add_overflow(i, bounds.step, &i)) break;
  }
  return out.value();
}

}  // namespace

Value attribute(Render& render, const Value& value, const String& name, const Methods& methods) {
  if (value.is(Kind::kUndefined) || value.is_missing()) fail_undefined(value);
  if (const Builtin method = methods.of(value)) return Value::object(render.budget().make<BoundMethod>(method, value));
  if (value.is(Kind::kList) && value.as_list().sequence == Sequence::kTuple && value.as_list().is_group) {
    if (name.text == "grouper" || name.text == "list") return value.as_list().items[name.text == "list" ? 1 : 0];
  }
  const Value* found = nullptr;
  if (value.is(Kind::kMap) || value.is(Kind::kNamespace)) found = value.as_map().find(Value::string(&name));
  if (found != nullptr) return *found;
  if (value.is(Kind::kObject)) {
    const Value own = value.as_object().attribute(render, name.text);
    if (!own.is_missing()) return own;
  }
  return Value::undefined(&name, value.kind());
}

Value attribute(Render& render, const Value& value, const String& name) {
  return attribute(render, value, name, find_methods(name.text));
}

Value item(Render& render, const Value& value, const Value& key) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (value.is(Kind::kMap)) {
    if (const Value* found = value.as_map().find(key)) return *found;
  } else if (has_index(value) && (key.is(Kind::kInt) || key.is(Kind::kBool))) {
    const Value found = at(render, value, key.as_int());
    if (!found.is_missing()) return found;
  }
  if (key.is(Kind::kString)) return attribute(render, value, key.as_string());
  return Value::undefined(name_of_key(render, key), value.kind());
}

Value slice(Render& render, const Value& value, const Value& begin, const Value& end, const Value& step) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (!has_index(value)) fail("a value of type '{}' has no slices", type_name(value));
  const Bounds bounds = bounds_of(begin, end, step, length(render, value));
  if (value.is(Kind::kString)) return slice_text(render, value.as_string(), bounds);
  const List& list = value.as_list();
  List* result = render.list(list.sequence);
  for (int64_t i = bounds.begin; bounds.step > 0 ? i < bounds.end : i > bounds.end;) {
    render.budget().work(1);
    result->items.push_back(list.items[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, bounds.step, &i)) break;
  }
  return Value::list(result);
}

Value call(Render& render, const Value& function, const Arguments& arguments) {
  if (function.is(Kind::kUndefined)) fail_undefined(function);
  if (!function.is(Kind::kObject)) fail("a value of type '{}' cannot be called", type_name(function));
  return function.as_object().call(render, arguments);
}

Builtin Methods::of(const Value& value) const {
  if (value.is(Kind::kString)) return string;
  if (value.is(Kind::kList) && value.as_list().sequence <= Sequence::kTuple) return list;
  if (value.is(Kind::kMap)) return map;
  return value.is_number() ? number : nullptr;
}

List* iterate(Render& render, const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return render.list();
    case Kind::kList: {
      List& list = value.as_list();
      if (list.sequence != Sequence::kGenerator) return &list;
      List* items = render.list();
      items->items.swap(list.items);
      return items;
    }
    case Kind::kMap: {
      List* keys = render.list();
      keys->items.reserve(value.as_map().entries.size());
      for (const Map::Entry& entry : value.as_map().entries) keys->items.push_back(entry.key);
      render.budget().work(keys->items.size());
      return keys;
    }
    case Kind::kString: {
      List* characters = render.list();
      const String& string = value.as_string();
      render.budget().work(string.text.size());
      for (size_t i = 0, width = 0; i < string.text.size(); i += width) {
        width = unicode::width(string.text[i]);
        characters->items.push_back(substring(render.budget(), string, i, i + width));
      }
      return characters;
    }
    default:
      fail("a value of type '{}' has no items to go through", type_name(value));
  }
}

int64_t length(Render& render, const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      if (value.as_string().characters == SIZE_MAX) render.budget().work(value.text().size() / 16);
      return static_cast<int64_t>(count_characters(value.as_string()));
    case Kind::kList:
      if (value.as_list().sequence == Sequence::kGenerator) break;
      return static_cast<int64_t>(value.as_list().items.size());
    case Kind::kMap:
      return static_cast<int64_t>(value.as_map().entries.size());
    default:
      break;
  }
  fail("a value of type '{}' has no length", type_name(value));
}

bool contains(Render& render, const Value& container, const Value& value) {
  if (container.is(Kind::kMap)) return container.as_map().find(value) != nullptr;
  if (container.is(Kind::kString)) {
    if (value.is(Kind::kUndefined)) fail_undefined(value);
    if (!value.is(Kind::kString)) fail("only a text can be in a text, not a value of type '{}'", type_name(value));
    render.budget().work(container.text().size() / 16);
    return container.text().find(value.text()) != std::string_view::npos;
  }
  if (!container.is(Kind::kList)) return !iterate(render, container)->items.empty();  // fails, or nothing is in it
  for (const Value& entry : container.as_list().items) {
    if (equal(render.budget(), entry, value)) return true;
  }
  return false;
}

int64_t to_integer(const Value& value) {
  if (value.is(Kind::kInt) || value.is(Kind::kBool)) return value.as_int();
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  fail("an integer is expected, not a value of type '{}'", type_name(value));
}

int64_t integer_or(const Value& value, int64_t otherwise) {
  return value.is_missing() || value.is(Kind::kNone) ? otherwise : to_integer(value);
}

const String& to_text(const Value& value) {
  if (value.is(Kind::kUndefined)) fail_undefined(value);
  if (!value.is(Kind::kString)) fail("a text is expected, not a value of type '{}'", type_name(value));
  return value.as_string();
}

}  // namespace hearth::templates
