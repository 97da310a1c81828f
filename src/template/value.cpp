#include "template/value.h"

#include <charconv>
#include <cmath>
#include <functional>

#include "template/unicode.h"

namespace hearth::templates {
namespace {

constexpr size_t kSmallMap = 8;  // entries that are compared one by one

// A float with an integer value is the same key as that integer.
bool integral(double value) {
  return std::abs(value) < 9e18 && std::trunc(value) == value;
}

bool is_list_like(const Value& value) {
  return value.is(Kind::kList);
}

bool equal_numbers(const Value& a, const Value& b) {
  const bool exact = a.kind() <= Kind::kInt && b.kind() <= Kind::kInt;
  if (exact) return a.as_int() == b.as_int();
  if (a.is(Kind::kBig) && b.is(Kind::kBig)) return a.text() == b.text();
  return to_double(a) == to_double(b);
}

bool equal_lists(Budget& budget, const List& a, const List& b, int depth) {
  if (a.sequence != b.sequence || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!equal(budget, a.items[i], b.items[i], depth + 1)) return false;
  }
  return true;
}

bool equal_maps(Budget& budget, const Map& a, const Map& b, int depth) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const Map::Entry& entry : a.entries) {
    const Value* other = b.find(entry.key);
    if (other == nullptr || !equal(budget, entry.value, *other, depth + 1)) return false;
  }
  return true;
}

void append_to(Budget& budget, Growth* growth, const String& string) {
  const size_t size = growth->size + string.text.size();
  if (size > growth->capacity) {
    budget.work(growth->size / 16);
    const size_t capacity = growth->data == nullptr ? size + string.text.size() : size * 2;
    char* data = budget.bytes(capacity);
    std::copy_n(growth->data, growth->size, data);
    growth->data = data;
    growth->capacity = capacity;
  }
  std::copy(string.text.begin(), string.text.end(), growth->data + growth->size);
  each_piece(string, 0, string.text.size(), [&](std::string_view text, Origin origin) {
    growth->size += text.size();
    if (!growth->pieces.empty() && growth->pieces.back().origin == origin) {
      growth->pieces.back().end = growth->size;
    } else {
      growth->pieces.push_back({growth->size, origin});
    }
  });
}

}  // namespace

size_t Map::position(const Value& key, size_t hash) const {
  budget_->work(1);
  if (slots.empty()) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (equal(*budget_, entries[i].key, key)) return i;
    }
    return entries.size();
  }
  for (size_t slot = hash & (slots.size() - 1);; slot = (slot + 1) & (slots.size() - 1)) {
    if (slots[slot] == 0) return entries.size();
    if (equal(*budget_, entries[slots[slot] - 1].key, key)) return slots[slot] - 1;
  }
}

const Value* Map::find(const Value& key) const {
  const size_t at = position(key, hash_of(key));
  return at < entries.size() ? &entries[at].value : nullptr;
}

const Value* Map::find(std::string_view key) const {
  const String string{key};
  return find(Value::string(&string));
}

void Map::set(const Value& key, const Value& value) {
  const size_t hash = hash_of(key), at = position(key, hash);
  if (at < entries.size()) {
    entries[at].value = value;
    return;
  }
  if (entries.size() >= UINT32_MAX - 1) fail("a map has too many keys");
  entries.push_back({key, value});
  if (entries.size() > kSmallMap && entries.size() * 2 > slots.size()) {
    index_all();
  } else if (!slots.empty()) {
    index_one(entries.size() - 1, hash);
  }
}

void Map::set_text(std::string_view key, const Value& value) {
  set(borrow_string(*budget_, key), value);
}

bool Map::erase(const Value& key) {
  const size_t at = position(key, hash_of(key));
  if (at == entries.size()) return false;
  budget_->work(entries.size());
  entries.erase(entries.begin() + static_cast<ptrdiff_t>(at));
  slots.clear();
  if (entries.size() > kSmallMap) index_all();
  return true;
}

void Map::index_all() {
  size_t size = 4 * kSmallMap;
  while (size < entries.size() * 4) size *= 2;
  budget_->work(size / 8);
  slots.assign(size, 0);
  for (size_t i = 0; i < entries.size(); ++i) index_one(i, hash_of(entries[i].key));
}

void Map::index_one(size_t at, size_t hash) {
  size_t slot = hash & (slots.size() - 1);
  while (slots[slot] != 0) slot = (slot + 1) & (slots.size() - 1);
  slots[slot] = static_cast<uint32_t>(at + 1);
}

Value make_string(Budget& budget, std::string_view copied, Origin origin) {
  return borrow_string(budget, budget.copy(copied), origin);
}

Value borrow_string(Budget& budget, std::string_view text, Origin origin) {
  return Value::string(budget.make<String>(String{text, origin, {}}));
}

Value substring(Budget& budget, const String& whole, size_t begin, size_t end) {
  begin = std::min(begin, whole.text.size());
  end = std::clamp(end, begin, whole.text.size());
  String* part = budget.make<String>(String{whole.text.substr(begin, end - begin), whole.origin, {}});
  part->markup = whole.markup;
  if (whole.pieces.empty()) return Value::string(part);
  std::pmr::vector<Piece> pieces(budget.arena());
  each_piece(whole, begin, end, [&](std::string_view text, Origin origin) {
    pieces.push_back({(pieces.empty() ? 0 : pieces.back().end) + text.size(), origin});
  });
  if (!pieces.empty()) part->origin = pieces[0].origin;
  if (pieces.size() > 1) part->pieces = *budget.make<std::pmr::vector<Piece>>(std::move(pieces));
  return Value::string(part);
}

Value concatenate(Budget& budget, const String& a, const String& b) {
  if (b.text.size() > kMaxOutput - a.text.size()) fail("the text gets too long (more than {} MiB)", kMaxOutput >> 20);
  budget.work(1 + b.text.size() / 16);
  Growth* growth = a.growth;
  const bool continues = growth != nullptr && a.text.data() == growth->data && a.text.size() == growth->size;
  if (!continues) {
    growth = budget.make<Growth>(budget.arena());
    append_to(budget, growth, a);
  }
  append_to(budget, growth, b);
  String* both = budget.make<String>(String{{growth->data, growth->size}});
  if (!growth->pieces.empty()) both->origin = growth->pieces[0].origin;
  if (growth->pieces.size() > 1) both->pieces = growth->pieces;
  both->growth = growth;
  return Value::string(both);
}

size_t count_characters(const String& string) {
  if (string.characters == SIZE_MAX) string.characters = unicode::count(string.text);
  return string.characters;
}

Value make_pair(Budget& budget, const Value& first, const Value& second) {
  List* pair = make_list(budget, Sequence::kTuple);
  pair->items = {first, second};
  return Value::list(pair);
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBig:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      break;
    case Kind::kMap:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kObject:
      return "object";
  }
  return sequence_name(value.as_list().sequence);
}

std::string_view sequence_name(Sequence sequence) {
  static constexpr std::string_view kNames[] = {"list",        "tuple",      "range",    "dict_keys",
                                                "dict_values", "dict_items", "generator"};
  return kNames[static_cast<size_t>(sequence)];
}

void fail_undefined(const Value& undefined) {
  static constexpr std::string_view kOwners[] = {"",      "",    "None", "bool", "int",       "int",
                                                 "float", "str", "list", "dict", "namespace", "object"};
  const std::string_view name = undefined.undefined_name() != nullptr ? undefined.undefined_name()->text : "a value";
  const std::string_view owner = kOwners[static_cast<size_t>(undefined.undefined_owner())];
  if (owner.empty()) fail("'{}' is undefined", name);
  fail("'{} object' has no attribute '{}'", owner, name);
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.as_int() != 0;
    case Kind::kFloat:
      return value.as_float() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
      return value.as_list().sequence == Sequence::kGenerator || !value.as_list().items.empty();
    case Kind::kMap:
      return !value.as_map().entries.empty();
    default:
      return true;
  }
}

double to_double(const Value& number) {
  if (number.is(Kind::kFloat)) return number.as_float();
  if (!number.is(Kind::kBig)) return static_cast<double>(number.as_int());
  double value = 0;
  const std::string_view text = number.text();
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) {
    value = text.starts_with('-') ? -HUGE_VAL : HUGE_VAL;
  }
  return value;
}

bool equal(Budget& budget, const Value& a, const Value& b, int depth) {
  budget.work(1);
  check_depth(depth);
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      if (a.text().size() != b.text().size()) return false;
      budget.work(a.text().size() / 16);
      return a.text() == b.text();
    case Kind::kList:
      return equal_lists(budget, a.as_list(), b.as_list(), depth);
    case Kind::kMap:
      return equal_maps(budget, a.as_map(), b.as_map(), depth);
    default:
      return a.identity() == b.identity();
  }
}

bool less(Budget& budget, const Value& a, const Value& b, int depth) {
  budget.work(1);
  check_depth(depth);
  if (a.is(Kind::kUndefined)) fail_undefined(a);
  if (b.is(Kind::kUndefined)) fail_undefined(b);
  if (a.is_number() && b.is_number()) {
    const bool exact = a.kind() <= Kind::kInt && b.kind() <= Kind::kInt;
    return exact ? a.as_int() < b.as_int() : to_double(a) < to_double(b);
  }
  // Bytes of UTF-8 are in the order of their code points.
  if (a.is(Kind::kString) && b.is(Kind::kString)) {
    budget.work(std::min(a.text().size(), b.text().size()) / 16);
    return a.text() < b.text();
  }
  if (is_list_like(a) && is_list_like(b) && a.as_list().sequence == b.as_list().sequence) {
    const auto &x = a.as_list().items, &y = b.as_list().items;
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(budget, x[i], y[i], depth + 1)) return less(budget, x[i], y[i], depth + 1);
    }
    return x.size() < y.size();
  }
  fail("'<' is not supported between '{}' and '{}'", type_name(a), type_name(b));
}

size_t hash_of(const Value& value, int depth) {
  check_depth(depth);
  switch (value.kind()) {
    case Kind::kString:
      return std::hash<std::string_view>()(value.text());
    case Kind::kBool:
    case Kind::kInt:
      return std::hash<int64_t>()(value.as_int());
    case Kind::kBig:
    case Kind::kFloat: {
      const double number = to_double(value);
      return integral(number) ? std::hash<int64_t>()(static_cast<int64_t>(number)) : std::hash<double>()(number);
    }
    case Kind::kList:
      if (value.as_list().sequence == Sequence::kTuple) {
        size_t hash = 17;
        for (const Value& item : value.as_list().items) hash = hash * 31 + hash_of(item, depth + 1);
        return hash;
      }
      [[fallthrough]];
    case Kind::kMap:
      fail("a {} cannot be a key", type_name(value));
    case Kind::kNone:
    case Kind::kMissing:
    case Kind::kUndefined:
      return 0;
    default:
      return std::hash<const void*>()(value.identity());
  }
}

}  // namespace hearth::templates
