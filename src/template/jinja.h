// Jinja chat templates: compiled once, rendered many times. Settings are those of transformers: trim_blocks,
// lstrip_blocks, break and continue, `generation` blocks, tojson without HTML escapes, raise_exception, strftime_now;
// lists may be changed. Hostile templates end with an error (limits.h). docs/templates.md describes the language.
#pragma once

#include <boost/json/object.hpp>
#include <ctime>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "template/limits.h"
#include "template/rendered.h"

namespace hearth::templates {

struct RenderOptions {
  std::optional<std::tm> now;  // for strftime_now; the local time if not given
  // Texts of the input that count as written by the template: the values of these variables ("bos_token"), and texts
  // that are wholly one of these words ("user", so that '<|' + role + '|>' can be a token).
  std::set<std::string, std::less<>> trusted_variables, trusted_words;
  uint64_t most_steps = kMaxSteps;
  bool strict = false;  // what is undefined cannot be written; else nothing is written for it
};

// Immutable; renders may run at the same time.
class JinjaTemplate {
 public:
  // kInvalidData, with the line, for what is no template.
  static Result<JinjaTemplate> parse(std::string_view text);
  JinjaTemplate(JinjaTemplate&&) noexcept;
  JinjaTemplate& operator=(JinjaTemplate&&) noexcept;
  ~JinjaTemplate();

  // The variables that it mentions, without the functions that every template has.
  std::vector<std::string> mentions() const;

  // Every key is a variable. kInvalidData, with the line, where the template fails or raises an exception.
  Result<Rendered> render(const boost::json::object& variables, const RenderOptions& options = {}) const;
  // The same for variables in a JSON text, whose numbers keep all their digits.
  Result<Rendered> render_text(std::string_view variables, const RenderOptions& options = {}) const;

 private:
  struct Compiled;
  explicit JinjaTemplate(std::unique_ptr<Compiled> compiled);

  std::unique_ptr<Compiled> compiled_;
};

}  // namespace hearth::templates
