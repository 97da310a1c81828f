// hearth store pin, unpin: models that nobody removes by mistake or for want of space.
#include "base/error.h"
#include "cli/store_action.h"
#include "cli/terminal.h"
#include "store/ollama_models.h"
#include "store/pins.h"

namespace hearth::cli {
namespace {

Status list() {
  std::string text;
  for (const std::string& folder : store::model_folders())
    for (const std::string& name : store::pinned_models(folder)) text += name + "\n";
  return print(text.empty() ? "no model is pinned\n" : text);
}

Status pin(const StoreOptions& options) {
  if (options.names.empty()) return list();
  for (const std::string& name : options.names) {
    TRY(store::pin_model(name, store::model_folders()));
    TRY(print(fmt::format("pinned '{}'\n", name)));
  }
  return {};
}

Status unpin(const StoreOptions& options) {
  if (options.names.empty()) return error(ErrorKind::kUsage, "there is no model named (see hearth store --help)");
  for (const std::string& name : options.names) {
    TRY(store::unpin_model(name, store::model_folders()));
    TRY(print(fmt::format("unpinned '{}'\n", name)));
  }
  return {};
}

const StoreAction kPin = {"pin", "models stay whatever happens; without NAME, list those", pin};
const StoreAction kUnpin = {"unpin", "they can go again", unpin};
const RegisterStoreAction registered[] = {RegisterStoreAction(&kPin), RegisterStoreAction(&kUnpin)};

}  // namespace
}  // namespace hearth::cli
