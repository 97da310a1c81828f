#include "serve/aliases.h"

#include "base/text.h"
#include "config/alias.h"
#include "fleet/find_model.h"

namespace hearth::serve {

std::optional<std::string> model_for(const std::string& name, const config::Settings& settings) {
  if (settings.aliases.empty() && settings.default_model.empty()) return std::nullopt;
  if (fleet::find_named_model(name)) return std::nullopt;
  for (const std::string& entry : settings.aliases)
    if (const auto model = config::alias_of(entry, name)) return model;
  const bool fixed = name.starts_with("claude-") || name.starts_with("anthropic/");
  if (fixed && !settings.default_model.empty()) return settings.default_model;
  return std::nullopt;
}

}  // namespace hearth::serve
