// The chat templates of Ollama's models (TEMPLATE layers), given the data that Ollama gives them. Source of what it
// does: Ollama's template/template.go (MIT), as of August 2026.
#pragma once

#include "template/go_template.h"

namespace hearth::chat {

// Immutable; renders may run at the same time.
class OllamaTemplate {
 public:
  // kInvalidData, with the line, for what is no template. One that mentions neither messages nor the response ends in
  // the response, and every {{template}} must be given a value.
  static Result<OllamaTemplate> parse(std::string_view text);

  // `request`: JSON as /api/chat or /api/generate takes it (messages, tools, think; prompt, suffix, system). Rendered
  // with all messages if the template mentions them, else turn by turn. Texts of roles that are known and what the
  // template wrote count as the template's. `now` is for currentDate: the local time if not given. kInvalidData where
  // the template fails.
  Result<templates::Rendered> render(std::string_view request, const std::optional<std::tm>& now = {},
                                     uint64_t most_steps = templates::kMaxSteps) const;

 private:
  explicit OllamaTemplate(templates::GoTemplate compiled) : compiled_(std::move(compiled)) {}

  templates::GoTemplate compiled_;
};

}  // namespace hearth::chat
