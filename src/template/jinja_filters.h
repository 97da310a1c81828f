// The tables of filters, one for each file that defines some.
#pragma once

#include <span>
#include <utility>

#include "template/jinja_builtins.h"

namespace hearth::templates {

using FilterTable = std::span<const std::pair<std::string_view, Builtin>>;
FilterTable text_filters();
FilterTable number_filters();
FilterTable list_filters();
FilterTable selecting_filters();

// The part of `item` that an argument `attribute` names: "a.b.0"; the item itself if none is named.
Value part_of(Render& render, const Value& item, const Value& path);
// The value by which filters compare: texts without regard to case unless `case_sensitive`.
Value comparison_key(Render& render, const Value& value, bool case_sensitive);

}  // namespace hearth::templates
