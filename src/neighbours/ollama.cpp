// Ollama (docs/api.md): answers wait for a model that unloads, so that one at work ends first. It does not tell whether
// it is at work.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

Result<Found> find(const Api& api) {
  return find_listed(api, "/api/ps", "models", "name");
}

Status let_go(const Api& api, const Found& found, uint64_t) {
  return tell_of_each(api, "/api/generate", "model", found.models, {{"keep_alive", 0}});
}

const Kind kKind = {"ollama", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
