// Go templates as Ollama's models have them (TEMPLATE layers): compiled once, rendered many times. The language is that
// of Go 1.19's text/template with Ollama's functions; hostile templates end with an error (limits.h).
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "template/limits.h"
#include "template/rendered.h"

namespace hearth::templates {

// Immutable; renders may run at the same time.
class GoTemplate {
 public:
  // kInvalidData, with the line, for what is no template.
  static Result<GoTemplate> parse(std::string_view text);
  // The same with what Ollama adds: a template that mentions neither messages nor the response ends in the response,
  // and every {{template}} must be given a value.
  static Result<GoTemplate> parse_for_chat(std::string_view text);
  GoTemplate(GoTemplate&&) noexcept;
  GoTemplate& operator=(GoTemplate&&) noexcept;
  ~GoTemplate();

  // `data`: the root of the template as JSON; numbers are floats, and {"$int": 3} is an integer. `now` is for
  // currentDate: the local time if not given. kInvalidData where the template fails.
  Result<Rendered> render_data(std::string_view data, const std::optional<std::tm>& now = {}) const;
  // `request`: JSON as /api/chat or /api/generate takes it (messages, tools, think; prompt, suffix, system). Rendered
  // with all messages if the template mentions them, else turn by turn. Texts of roles that are known and what the
  // template wrote count as the template's.
  Result<Rendered> render_request(std::string_view request, const std::optional<std::tm>& now = {},
                                  uint64_t most_steps = kMaxSteps) const;

 private:
  struct Compiled;
  explicit GoTemplate(std::unique_ptr<Compiled> compiled);
  static Result<GoTemplate> compile(std::string_view text, bool for_chat);

  std::unique_ptr<Compiled> compiled_;
};

}  // namespace hearth::templates
