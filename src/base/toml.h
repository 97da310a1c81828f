// toml++ (https://marzer.github.io/tomlplusplus/), which gives errors as values here.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
// Its version 3.3 says of letters from U+00A1 on that they cannot be reached where it asks for white space, and means
// that they are none; compilers take it so, sanitizers do not.
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("unreachable"))), apply_to = function)
#endif
#include <toml++/toml.h>
#ifdef __clang__
#pragma clang attribute pop
#endif
