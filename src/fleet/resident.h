// A model that can answer: its files, its engine, and how one talks to it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "engine/engine.h"
#include "fleet/load_model.h"
#include "fleet/model_facts.h"
#include "grammar/token_trie.h"
#include "sampling/options.h"

namespace hearth::fleet {

struct Resident {
  // As load_model(), and then ready for requests.
  static Result<std::unique_ptr<Resident>> start(store::ModelFiles found, const ModelOptions& options,
                                                 const models::LoadOptions& load,
                                                 const engine::EngineOptions& engine_options,
                                                 const LoadObserver& observer);

  store::ModelFiles found;
  std::shared_ptr<const gguf::File> file;
  ModelFacts facts;
  models::Spec spec;
  uint64_t step_bytes = 0;                                      // see models::bytes_per_token()
  models::LoadOptions load;                                     // as it was loaded
  std::atomic<uint32_t> context_tokens;                         // that a sequence may have now. Any thread
  std::chrono::nanoseconds load_duration{0}, read_duration{0};  // as LoadedModel's
  std::unique_ptr<engine::PlacedModel> placed;                  // outlives the engine
  std::unique_ptr<engine::Engine> engine;
  std::shared_ptr<Sight> sight;  // as LoadedModel's
  std::string blind;
  std::shared_ptr<const chat::ChatModel> chat, raw;  // by its template, and without one
  sampling::Options sampling;                        // the defaults, and what the model brings along
  std::vector<std::string> ignored_parameters;       // of that; see apply_model_parameters()

  // Room for longer sequences without a new load; what is answered meanwhile goes on. Blocks until it is done. Errors:
  // those of Engine::grow().
  Status grow(uint32_t context);

  // The vocabulary for constraints, made when it is first needed. Any thread.
  std::shared_ptr<const grammar::TokenTrie> trie();

 private:
  Resident(LoadedModel loaded, const engine::EngineOptions& engine_options);

  std::once_flag trie_made_;
  std::shared_ptr<const grammar::TokenTrie> trie_;
};

}  // namespace hearth::fleet
