// Values as text, as Python prints them: str() and repr().
#pragma once

#include <string>

#include "template/text_builder.h"

namespace hearth::templates {

// The shortest decimal text that reads back as `value`: 1.0, 1e+16, 1e-05, inf, nan.
std::string float_text(double value);

// str(value): texts as they are, an undefined value as nothing.
void print(TextBuilder& out, const Value& value);
Value to_string(Budget& budget, const Value& value);
// repr(value): texts in quotes.
void print_quoted(TextBuilder& out, const Value& value, int depth = 0);

}  // namespace hearth::templates
