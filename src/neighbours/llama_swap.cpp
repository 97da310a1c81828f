// llama-swap: all its models at once.
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

Result<Found> find(const Api& api) {
  return find_listed(api, "/running", "running", "model");
}

Status let_go(const Api& api, const Found&, uint64_t) {
  return api.tell("GET", "/unload");
}

const Kind kKind = {"llama-swap", find, let_go, nullptr};
const RegisterKind registered(&kKind);

}  // namespace
}  // namespace hearth::neighbours
