#include "fleet/create_model.h"

#include "chat/ollama_template.h"
#include "store/ollama_models.h"
#include "store/tiers.h"

namespace hearth::fleet {

Result<std::vector<std::string>> create_model(const store::Blueprint& blueprint, const CreateProgress& progress) {
  store::CreateHooks hooks;
  hooks.progress = progress;
  hooks.check_template = [](std::string_view text) -> Status {
    const auto parsed = chat::OllamaTemplate::parse(text);
    return parsed ? Status() : Status(parsed.error());
  };
  ASSIGN_OR_RETURN(const store::Tier target, store::writable_tier());
  store::watch_tiers();
  std::vector<std::string> folders = store::model_folders();
  std::erase(folders, target.folder);
  folders.insert(folders.begin(), target.folder);
  return store::create_model(blueprint, folders, hooks);
}

}  // namespace hearth::fleet
