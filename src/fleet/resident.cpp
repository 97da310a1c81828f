#include "fleet/resident.h"

#include "fleet/chat_model.h"
#include "fleet/model_defaults.h"
#include "models/token_cost.h"

namespace hearth::fleet {

Resident::Resident(LoadedModel loaded, const engine::EngineOptions& engine_options)
    : found(std::move(loaded.found)),
      file(std::move(loaded.file)),
      facts(facts_of(*file)),
      spec(std::move(loaded.spec)),
      step_bytes(models::bytes_per_token(*file, spec)),
      load(std::move(loaded.load)),
      context_tokens(load.context),
      load_duration(loaded.load_duration),
      read_duration(loaded.read_duration),
      placed(std::move(loaded.placed)),
      engine(std::make_unique<engine::Engine>(placed->backend(), loaded.tokenizer, engine_options)),
      sight(std::move(loaded.sight)),
      blind(std::move(loaded.blind)),
      chat(make_chat_model(found, *file, loaded.tokenizer)),
      raw(make_chat_model(found, *file, loaded.tokenizer, true)),
      ignored_parameters(apply_model_parameters(found.parameters, sampling)) {}

Result<std::unique_ptr<Resident>> Resident::start(store::ModelFiles found, const ModelOptions& options,
                                                  const models::LoadOptions& load,
                                                  const engine::EngineOptions& engine_options,
                                                  const LoadObserver& observer) {
  ASSIGN_OR_RETURN(LoadedModel loaded, load_model(std::move(found), options, load, observer));
  return std::unique_ptr<Resident>(new Resident(std::move(loaded), engine_options));
}

Status Resident::grow(uint32_t context) {
  ASSIGN_OR_RETURN(const uint32_t pages, pages_for(std::max(1u, load.sequences), context));
  TRY(engine->grow(context, std::max(pages, load.pages)));
  context_tokens = context;
  return {};
}

std::shared_ptr<const grammar::TokenTrie> Resident::trie() {
  std::call_once(trie_made_, [this] { trie_ = std::make_shared<const grammar::TokenTrie>(engine->tokenizer()); });
  return trie_;
}

}  // namespace hearth::fleet
