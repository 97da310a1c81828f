// JSON to values and back. Reading keeps the order of keys, the difference between integers and floats, and every digit
// of both (Boost.JSON 1.81 alone rounds some doubles wrongly). Format: RFC 8259.
#pragma once

#include <boost/json/value.hpp>
#include <set>
#include <string>
#include <string_view>

#include "template/text_builder.h"

namespace hearth::templates {

// Fails with what is wrong where `text` is not JSON. Texts get `origin`.
Value read_json(Budget& budget, std::string_view text, Origin origin = Origin::kUser);

// Texts are not copied: `value` must outlive the render.
Value from_json(Budget& budget, const boost::json::value& value, int depth = 0);

struct JsonStyle {
  std::string_view item_separator = ", ", key_separator = ": ";
  std::string_view indent;  // of one level; used when `lines`
  bool lines = false;       // each item on its own line
  bool ascii = false;       // \uXXXX in place of what is not ASCII
  bool sort_keys = false;
};
// As Python's json.dumps. Texts keep their origin; what is put around them is as if inserted. Fails for what JSON
// lacks.
void write_json(TextBuilder& out, const Value& value, const JsonStyle& style);

}  // namespace hearth::templates
