#include "fleet/chat_model.h"

#include <cstdlib>

#include "base/text.h"

namespace hearth::fleet {
namespace {

std::optional<bool> prefers_ollama_template() {
  const char* value = std::getenv("OLLAMA_GO_TEMPLATE");
  if (value == nullptr || *value == '\0') return std::nullopt;
  return !same_ignoring_case(value, "0") && !same_ignoring_case(value, "false");
}

}  // namespace

std::shared_ptr<const chat::ChatModel> make_chat_model(const store::ModelFiles& found, const gguf::File& file,
                                                       std::shared_ptr<const text::Tokenizer> tokenizer, bool raw) {
  chat::ChatFacts facts = chat::read_facts(file, *tokenizer, found.template_text);
  facts.raw = raw;
  facts.prefers_ollama = prefers_ollama_template();
  // Ollama's built-in code for this model: its parser is a family of ours; what its renderer writes, the template in the
  // file writes too, as far as there is one (newer models have both).
  if (const chat::Family* family = chat::find_family_of_parser(found.parser)) facts.family = family->name;
  if (!found.renderer.empty() && !facts.prefers_ollama) facts.prefers_ollama = false;
  return std::make_shared<const chat::ChatModel>(std::move(facts), std::move(tokenizer));
}

}  // namespace hearth::fleet
