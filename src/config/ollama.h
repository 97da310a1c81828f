// Ollama's variables that are no setting of the same meaning: what each becomes here, or what its user should know.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace hearth::config {

struct OllamaValue {
  std::string variable;
  std::string key, value;  // the setting that it becomes; empty: none
  std::string warning;     // empty: none
};

// Of those that are set in `environment`.
std::vector<OllamaValue> other_ollama_values(const std::map<std::string, std::string>& environment);

}  // namespace hearth::config
