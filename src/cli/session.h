// What one-shot and interactive `hearth run` share: a loaded model behind an engine, and its options.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/generate.h"
#include "cli/model_options.h"
#include "engine/engine.h"
#include "sampling/options.h"
#include "text/chat.h"

namespace hearth::cli {

struct RunOptions {
  ModelOptions model;
  store::Parameters settings;         // sampling options that the user gave, by name; each valid for sampling::set()
  std::optional<std::string> system;  // not given: the model's own
  bool raw = false;                   // no chat template
};

struct Session {
  std::shared_ptr<const gguf::File> file;
  models::Spec spec;
  std::unique_ptr<engine::PlacedModel> placed;  // outlives the engine; touched by it only
  std::unique_ptr<engine::Engine> engine;
  const text::ChatTemplate* chat_template = nullptr;  // null with --raw, or if the model has none that is known
  uint32_t context = 0;
  std::chrono::nanoseconds load_duration{0}, read_duration{0};
  uint64_t changes_shown = 0;  // see note_changes()
  bool verbose = false;
  // Defaults, then what the model in an Ollama folder brings along, then what the user gave.
  sampling::Options sampling;
  std::string system;
  std::vector<store::Message> messages;  // the start of the conversation

  const text::Tokenizer& tokenizer() const { return engine->tokenizer(); }
};

// Notes on standard error if the model has a chat template that is not known, or parameters that are not.
Result<Session> start_session(const RunOptions& options);

// If layers have moved or a device was made anew since the last time: one line on standard error.
void note_changes(Session& session);

// Generates with the session's options, prints the text as it comes, and after it a note if the context is full,
// and if verbose the report.
Result<Completion> complete(Session& session, std::vector<text::Token> prompt, std::vector<std::string> stops);

}  // namespace hearth::cli
