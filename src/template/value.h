// The values that templates work with. A Value is small and is copied freely; what it points to lies in the arena of a
// render's Budget. Lists and maps are shared by reference, as in Python.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "template/budget.h"
#include "template/rendered.h"

namespace hearth::templates {

// Memory that a text was put into with room behind it, so that a template which adds to one text all the time does not
// copy it each time: a text that ends where the memory is used up to is continued in place. Its bytes never change.
struct Growth {
  explicit Growth(std::pmr::memory_resource* arena) : pieces(arena) {}
  char* data = nullptr;
  size_t size = 0, capacity = 0;
  std::pmr::vector<Piece> pieces;
};

// A text that knows where its bytes come from. Immutable.
struct String {
  std::string_view text;
  Origin origin = Origin::kTemplate;   // of all bytes, where there are no pieces
  std::span<const Piece> pieces = {};  // empty, or at least two, the last of which may end behind the text
  bool markup = false;                 // marked as HTML: what is added to it is escaped
  Growth* growth = nullptr;
  mutable size_t characters = SIZE_MAX;  // code points, once counted
};

struct List;
struct Map;
struct Object;

enum class Kind : uint8_t {
  kMissing,    // not passed, not set: never seen by a template
  kUndefined,  // what a lookup found nothing for
  kNone,
  kBool,
  kInt,
  kBig,  // an integer that does not fit int64_t: carried and printed, not computed with
  kFloat,
  kString,
  kList,
  kMap,
  kNamespace,
  kObject,
};

class Value {
 public:
  Value() : kind_(Kind::kMissing), int_(0) {}
  static Value none() { return Value(Kind::kNone); }
  static Value boolean(bool value) { return Value(Kind::kBool, value ? 1 : 0); }
  static Value integer(int64_t value) { return Value(Kind::kInt, value); }
  static Value number(double value);
  static Value string(const String* value);
  static Value big(const String* digits);
  static Value list(List* value);
  static Value map(Map* value);
  static Value space(Map* value);  // a namespace
  static Value object(Object* value);
  // `name`: what was looked up; `owner`: in what kind of value, kMissing for a variable.
  static Value undefined(const String* name, Kind owner = Kind::kMissing);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_missing() const { return kind_ == Kind::kMissing; }
  bool is_number() const { return kind_ >= Kind::kBool && kind_ <= Kind::kFloat; }

  // The kind must fit.
  bool as_bool() const { return int_ != 0; }
  int64_t as_int() const { return int_; }  // also of a bool
  double as_float() const { return float_; }
  const String& as_string() const { return *string_; }
  std::string_view text() const { return string_->text; }
  List& as_list() const { return *list_; }
  Map& as_map() const { return *map_; }
  Object& as_object() const { return *object_; }
  const String* undefined_name() const { return string_; }  // may be null
  Kind undefined_owner() const { return owner_; }
  // The address of what is referred to, or the number itself.
  const void* identity() const { return object_; }

 private:
  explicit Value(Kind kind, int64_t value = 0) : kind_(kind), int_(value) {}

  Kind kind_;
  Kind owner_ = Kind::kMissing;
  union {
    int64_t int_;
    double float_;
    const String* string_;
    List* list_;
    Map* map_;
    Object* object_;
  };
};

inline Value Value::number(double value) {
  Value v(Kind::kFloat);
  v.float_ = value;
  return v;
}
inline Value Value::string(const String* value) {
  Value v(Kind::kString);
  v.string_ = value;
  return v;
}
inline Value Value::big(const String* digits) {
  Value v(Kind::kBig);
  v.string_ = digits;
  return v;
}
inline Value Value::list(List* value) {
  Value v(Kind::kList);
  v.list_ = value;
  return v;
}
inline Value Value::map(Map* value) {
  Value v(Kind::kMap);
  v.map_ = value;
  return v;
}
inline Value Value::space(Map* value) {
  Value v(Kind::kNamespace);
  v.map_ = value;
  return v;
}
inline Value Value::object(Object* value) {
  Value v(Kind::kObject);
  v.object_ = value;
  return v;
}
inline Value Value::undefined(const String* name, Kind owner) {
  Value v(Kind::kUndefined);
  v.string_ = name;
  v.owner_ = owner;
  return v;
}

// What kind of sequence of items it is, as far as a template can tell.
enum class Sequence : uint8_t {
  kList,
  kTuple,
  kRange,
  kKeys,  // a view of a map: has a length, but no index and no JSON
  kValues,
  kItems,
  kGenerator,  // of a filter: can be gone through once
};

namespace go {
struct Type;  // go_values.h
}

struct List {
  explicit List(Budget& budget, Sequence kind = Sequence::kList) : items(budget.arena()), sequence(kind) {}
  std::pmr::vector<Value> items;
  Sequence sequence;
  bool is_group = false;              // a tuple that the filter groupby made: its items are called grouper and list
  const go::Type* go_type = nullptr;  // of the Go interpreter; null: of nothing special
  bool is_nil = false;                // of the Go interpreter
};

// A map that keeps the order of insertion. Keys are equal as in Python: 1, 1.0 and true are one key.
struct Map {
  explicit Map(Budget& budget) : entries(budget.arena()), slots(budget.arena()), budget_(&budget) {}

  struct Entry {
    Value key, value;
  };
  std::pmr::vector<Entry> entries;
  const go::Type* go_type = nullptr;  // as List's
  bool is_nil = false;

  // Null where there is none. Fails for a key that cannot be one (a list, a map).
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(const Value& key, const Value& value);
  void set_text(std::string_view key, const Value& value);  // `key` must outlive the render
  bool erase(const Value& key);

 private:
  size_t position(const Value& key, size_t hash) const;  // entries.size() if absent
  void index_all();
  void index_one(size_t at, size_t hash);

  std::pmr::vector<uint32_t> slots;  // open addressing, positions plus one; empty for small maps
  Budget* budget_;
};

// Texts.
Value make_string(Budget& budget, std::string_view copied, Origin origin = Origin::kTemplate);
// `text` must outlive the render.
Value borrow_string(Budget& budget, std::string_view text, Origin origin = Origin::kTemplate);
// Part of a text, in bytes; shares them.
Value substring(Budget& budget, const String& whole, size_t begin, size_t end);
// Both texts, one behind the other.
Value concatenate(Budget& budget, const String& a, const String& b);
size_t count_characters(const String& string);
// Calls take(text, origin) for every piece of the bytes from `begin` to `end`.
template <class Take>
void each_piece(const String& string, size_t begin, size_t end, Take&& take) {
  if (string.pieces.empty()) {
    if (begin < end) take(string.text.substr(begin, end - begin), string.origin);
    return;
  }
  size_t from = 0;
  for (const Piece& piece : string.pieces) {
    const size_t a = std::max(from, begin), b = std::min(piece.end, end);
    if (a < b) take(string.text.substr(a, b - a), piece.origin);
    from = piece.end;
  }
}

inline List* make_list(Budget& budget, Sequence sequence = Sequence::kList) {
  return budget.make<List>(budget, sequence);
}
Value make_pair(Budget& budget, const Value& first, const Value& second);  // a tuple

// The names of kinds in messages, as Python says them: 'str', 'int', 'NoneType'.
std::string_view type_name(const Value& value);
std::string_view sequence_name(Sequence sequence);
// Fails with the words for an undefined value that was used.
[[noreturn]] void fail_undefined(const Value& undefined);

// As Python decides. An undefined value is false.
bool truth(const Value& value);
bool equal(Budget& budget, const Value& a, const Value& b, int depth = 0);
// a < b; fails where the two have no order.
bool less(Budget& budget, const Value& a, const Value& b, int depth = 0);
size_t hash_of(const Value& value, int depth = 0);
// Of a bool, int, big integer or float.
double to_double(const Value& number);

}  // namespace hearth::templates
