// Modelfiles: the recipe of a model, as Ollama has them. Grammar:
// https://github.com/ollama/ollama/blob/main/docs/modelfile.md and parser/parser.go there.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/manifest.h"

namespace hearth::store {

struct Modelfile {
  std::vector<std::string> from;  // names, files or a folder, as they are written; at least one
  std::optional<std::string> template_text, system;
  boost::json::object parameters;
  std::vector<Message> messages;
  std::vector<std::string> licenses;
  std::string minimum_version;     // REQUIRES
  std::string renderer, parser;    // Ollama's built-in code, by name
  std::vector<std::string> notes;  // what of it is left out, and why
};

// Errors: kUsage, "(line N): ..." with the line of the text; kUnsupported for instructions that are known and not
// offered.
Result<Modelfile> parse_modelfile(std::string_view text);

}  // namespace hearth::store
