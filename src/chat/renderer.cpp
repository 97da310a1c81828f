#include "chat/renderer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "chat/json_scanner.h"
#include "chat/ollama_template.h"
#include "template/jinja.h"

namespace hearth::chat {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  append_escaped(text, &out);
  return out += '"';
}

// A date as the templates that want `datetime` show it in their own examples.
std::string date_text(const std::optional<std::tm>& given) {
  std::tm now{};
  if (given) {
    now = *given;
  } else {
    const std::time_t seconds = std::time(nullptr);
    ::localtime_r(&seconds, &now);
  }
  char text[64];
  return {text, std::strftime(text, sizeof text, "%b %d %Y %H:%M:%S", &now)};
}

class Jinja : public Renderer {
 public:
  Jinja(templates::JinjaTemplate compiled, std::string_view source, const SpecialTexts& texts)
      : compiled_(std::move(compiled)),
        texts_(fmt::format(R"("bos_token":{},"eos_token":{})", quoted(texts.bos), quoted(texts.eos))),
        wants_functions_(source.find("functions") != std::string_view::npos),
        wants_datetime_(source.find("datetime") != std::string_view::npos) {}

  Result<templates::Rendered> render(const RenderInput& input) const override {
    std::string text = fmt::format(R"({{"messages":{},"add_generation_prompt":{},{})", input.messages,
                                   input.generation_prompt, texts_);
    if (!input.tools.empty()) text += fmt::format(R"(,"tools":{})", input.tools);
    // Two variables that only some templates have, and cannot do without.
    if (wants_functions_) text += fmt::format(R"(,"functions":{})", quoted(input.tools));
    if (wants_datetime_) text += fmt::format(R"(,"datetime":{})", quoted(date_text(input.now)));
    if (!input.variables.empty()) text += fmt::format(",{}", input.variables);
    return compiled_.render_text(text + "}", {.now = input.now,
                                              .trusted_variables = {"bos_token", "eos_token"},
                                              .trusted_words = {"system", "developer", "user", "assistant", "tool"},
                                              .most_steps = input.most_steps});
  }

 private:
  templates::JinjaTemplate compiled_;
  std::string texts_;
  bool wants_functions_, wants_datetime_;
};

class Ollama : public Renderer {
 public:
  explicit Ollama(OllamaTemplate compiled) : compiled_(std::move(compiled)) {}

  Result<templates::Rendered> render(const RenderInput& input) const override {
    std::string text = fmt::format(R"({{"messages":{})", input.messages);
    if (!input.tools.empty()) text += fmt::format(R"(,"tools":{})", input.tools);
    if (!input.variables.empty()) text += fmt::format(",{}", input.variables);
    return compiled_.render(text + "}", input.now, input.most_steps);
  }
  Result<templates::Rendered> fill_in(std::string_view prefix, std::string_view suffix) const override {
    return compiled_.render(fmt::format(R"({{"prompt":{},"suffix":{}}})", quoted(prefix), quoted(suffix)));
  }

 private:
  OllamaTemplate compiled_;
};

}  // namespace

Result<templates::Rendered> Renderer::fill_in(std::string_view, std::string_view) const {
  return error(ErrorKind::kUnsupported, "this template has no place for a suffix");
}

Result<std::unique_ptr<Renderer>> make_jinja_renderer(std::string_view source, SpecialTexts texts) {
  ASSIGN_OR_RETURN(templates::JinjaTemplate compiled, templates::JinjaTemplate::parse(source));
  return std::unique_ptr<Renderer>(std::make_unique<Jinja>(std::move(compiled), source, texts));
}

Result<std::unique_ptr<Renderer>> make_ollama_renderer(std::string_view source) {
  ASSIGN_OR_RETURN(OllamaTemplate compiled, OllamaTemplate::parse(source));
  return std::unique_ptr<Renderer>(std::make_unique<Ollama>(std::move(compiled)));
}

}  // namespace hearth::chat
