// Go templates: compiled once, rendered many times. The language is that of Go 1.19's text/template with the functions
// that Ollama adds; hostile templates end with an error (limits.h).
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "template/limits.h"
#include "template/rendered.h"

namespace hearth::templates {

class Budget;
class Value;

// Immutable; renders may run at the same time.
class GoTemplate {
 public:
  // kInvalidData, with the line, for what is no template. `cut_behind`: the lower-case name of a field; executions may
  // then end behind the first action that prints it, and mentions() is known, for which every {{template}} must be
  // given a value.
  static Result<GoTemplate> parse(std::string_view text, const std::string& cut_behind = {});
  GoTemplate(GoTemplate&&) noexcept;
  GoTemplate& operator=(GoTemplate&&) noexcept;
  ~GoTemplate();

  // `data`: the root of the template as JSON; numbers are floats, and {"$int": 3} is an integer. `now` is for
  // currentDate: the local time if not given. kInvalidData where the template fails.
  Result<Rendered> render_data(std::string_view data, const std::optional<std::tm>& now = {}) const;
  // Whether a pipeline uses a field of this lower-case name. Needs `cut_behind`.
  bool mentions(const std::string& field) const;
  // What `program` makes: it builds values with the budget and executes the template on them, as often as it wants,
  // each behind the other, with `only_kept` up to the cut. It may fail as templates do (budget.h).
  using Execute = std::function<void(const Value& root, bool only_kept)>;
  using Program = std::function<void(Budget& budget, const Execute& execute)>;
  Result<Rendered> render(const Program& program, const std::optional<std::tm>& now = {},
                          uint64_t most_steps = kMaxSteps) const;

 private:
  struct Compiled;
  explicit GoTemplate(std::unique_ptr<Compiled> compiled);

  std::unique_ptr<Compiled> compiled_;
};

}  // namespace hearth::templates
