// The data that Ollama hands to a Go template: which fields there are, and how messages are merged. Source: Ollama's
// template/template.go and api/types.go (MIT), as of August 2026.
#pragma once

#include <string>
#include <vector>

#include "template/go_values.h"

namespace hearth::chat {

struct OllamaRequest {
  templates::Value messages, tools;  // lists of structs; tools may be nil
  templates::Value system;           // all system messages, with blank lines between them
  templates::Value prompt, suffix;   // texts; empty if not given
  bool think = false, think_is_set = false;
  templates::Value think_level;
};

// `json`: a request of /api/chat or /api/generate. Fails (template/budget.h) where it is not formed like one.
OllamaRequest read_request(templates::Budget& budget, const templates::Value& json);

}  // namespace hearth::chat
