// The methods of texts, as in Python, and what filters share with them.
#pragma once

#include <functional>

#include "template/jinja_builtins.h"

namespace hearth::templates {

Builtin find_string_method(std::string_view name);

// The text without the characters of `set` at its ends; without white space if `set` is missing or None.
Value strip_text(Render& render, const String& string, const Value& set, bool left, bool right);
// Up to `most` occurrences; all if negative.
Value replace_text(Render& render, const String& string, const String& from, const String& to, int64_t most);
// Whether all letters are upper (lower) case, and there are some.
bool has_case(std::string_view text, bool upper);
Value capitalized(Render& render, const String& string);
// With the characters that mean something in HTML written as entities, marked as HTML; as it is if it is marked
// already.
const String& escaped(Render& render, const String& string);
Value upper_case(Render& render, const String& string);
Value lower_case(Render& render, const String& string);
// Between spaces (or `fill`) up to `width` characters; the place of the text: -1 left, 0 in the middle, 1 right.
Value padded(Render& render, const String& string, int64_t width, std::string_view fill, int place);
Value joined(Render& render, const String& separator, const List& items, bool convert);

}  // namespace hearth::templates
