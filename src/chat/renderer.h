// One template of a model, whichever language it is in: JSON in, a prompt out.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "template/limits.h"
#include "template/rendered.h"

namespace hearth::chat {

struct RenderInput {
  std::string_view messages;        // a JSON list
  std::string_view tools = {};      // a JSON list; empty: the variable is undefined
  std::string_view variables = {};  // further members of the input, without the braces
  bool generation_prompt = true;
  std::optional<std::tm> now = {};  // the local time if not given
  uint64_t most_steps = templates::kMaxSteps;
};

// Immutable; renders may run at the same time.
class Renderer {
 public:
  virtual ~Renderer() = default;
  virtual Result<templates::Rendered> render(const RenderInput& input) const = 0;
  // The prompt for what is between two texts. Errors: kUnsupported for what knows no such thing.
  virtual Result<templates::Rendered> fill_in(std::string_view prefix, std::string_view suffix) const;
};

struct SpecialTexts {
  std::string bos, eos;  // empty if the vocabulary has none
};

// Errors: kInvalidData, with the line, for what does not compile.
Result<std::unique_ptr<Renderer>> make_jinja_renderer(std::string_view source, SpecialTexts texts);
Result<std::unique_ptr<Renderer>> make_ollama_renderer(std::string_view source);

}  // namespace hearth::chat
