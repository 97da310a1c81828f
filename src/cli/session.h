// What one-shot and interactive `hearth run` share: a loaded model behind an engine, and its options.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "chat/conversation.h"
#include "cli/generate.h"
#include "cli/model_options.h"
#include "cli/picture_files.h"
#include "engine/engine.h"
#include "fleet/resident.h"
#include "fleet/sight.h"
#include "grammar/compose.h"
#include "sampling/options.h"

namespace hearth::cli {

struct ThinkingChoice {
  chat::Think think = chat::Think::kDefault;
  bool hidden = false;
};
// "on", "off", "low", "medium", "high" or "hide". Errors: kUsage.
Result<ThinkingChoice> parse_thinking(std::string_view text);

struct RunOptions {
  ModelOptions model;
  store::Parameters settings;         // sampling options that the user gave, by name; each valid for sampling::set()
  std::optional<std::string> system;  // not given: the model's own
  bool raw = false;                   // no chat template
  ThinkingChoice thinking;
  std::vector<chat::Tool> tools;  // that the model may call
  std::string tool_command;       // runs its calls; empty: they are only shown
  grammar::TextRule text;         // the form of every answer
  PictureFiles pictures;          // of the first message
};

struct Session {
  std::unique_ptr<fleet::Resident> model;
  std::shared_ptr<const chat::ChatModel> chat;  // one of the model's two
  std::chrono::nanoseconds load_duration{0};    // that the next answer had to wait for
  std::chrono::nanoseconds look_duration{0};    // that its pictures took
  uint64_t changes_shown = 0;                   // see note_changes()
  bool said_schemas = false;                    // what of them cannot be held
  bool verbose = false;
  // Defaults, then what the model in an Ollama folder brings along, then what the user gave.
  sampling::Options sampling;
  std::string system;
  std::vector<store::Message> messages;  // the start of the conversation
  ThinkingChoice thinking;
  std::vector<chat::Tool> tools;
  std::string tool_command;
  grammar::TextRule text;                                       // the form of every answer
  std::vector<std::shared_ptr<const fleet::SeenPicture>> seen;  // pictures, by the numbers of their marks

  const text::Tokenizer& tokenizer() const { return model->engine->tokenizer(); }
};

// Notes on standard error if the model has a chat template that cannot be used, or parameters that are not known.
Result<Session> start_session(const RunOptions& options);

// Looks at pictures. Returns their marks, for a message. Errors: kUsage where the model does not see; those of
// fleet::Sight::look().
Result<std::string> look_at(Session& session, const PictureFiles& pictures);

// With the session's system message, its tools, and the messages that its model brings along. The session must outlive
// it.
chat::Conversation start_conversation(const Session& session);

// If layers have moved or a device was made anew since the last time: one line on standard error.
void note_changes(Session& session);

// After an answer: notes if the context is full or the model slow, and if verbose the report.
void note_completion(Session& session, const Completion& completion, std::chrono::nanoseconds duration);

}  // namespace hearth::cli
