// The formats of strings that JSON schemas name (JSON Schema Validation 2020-12, section 7.3).
#pragma once

#include <string_view>

namespace hearth::grammar {

// As patterns of the whole text. `form`: what is written: the everyday form, all of it valid. `covering`: holds all
// texts that are valid.
struct Format {
  const char* name;
  const char* form;
  const char* covering;
};

// Null for a name that nobody knows: the specification says that it means nothing then.
const Format* find_format(std::string_view name);

}  // namespace hearth::grammar
