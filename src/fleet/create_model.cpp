#include "fleet/create_model.h"

#include "chat/ollama_template.h"
#include "store/ollama_models.h"

namespace hearth::fleet {

Result<std::vector<std::string>> create_model(const store::Blueprint& blueprint, const CreateProgress& progress) {
  store::CreateHooks hooks;
  hooks.progress = progress;
  hooks.check_template = [](std::string_view text) -> Status {
    const auto parsed = chat::OllamaTemplate::parse(text);
    return parsed ? Status() : Status(parsed.error());
  };
  return store::create_model(blueprint, store::model_folders(), hooks);
}

}  // namespace hearth::fleet
