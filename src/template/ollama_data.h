// The data that Ollama hands to a Go template: which fields there are, and how messages are merged. Source: Ollama's
// template/template.go and api/types.go (MIT), as of August 2026.
#pragma once

#include <string>
#include <vector>

#include "template/go_values.h"

namespace hearth::templates::go {

struct Request {
  Value messages, tools;  // lists of structs; tools may be nil
  Value system;           // all system messages, with blank lines between them
  Value prompt, suffix;   // texts; empty if not given
  bool think = false, think_is_set = false;
  Value think_level;
};

// `json`: a request of /api/chat or /api/generate. Fails where it is not formed like one.
Request read_request(Budget& budget, const Value& json);
// The values with {"$int": n} in place of integers, and all other numbers as floats.
Value plain_data(Budget& budget, const Value& json, int depth = 0);

}  // namespace hearth::templates::go
