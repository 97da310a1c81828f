// What a request becomes for a loaded model: tokens, how they are answered, and how the answer is read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "chat/answer.h"
#include "engine/engine.h"
#include "fleet/resident.h"
#include "serve/pictures.h"

namespace hearth::serve {

// What of a model its prompts need.
struct PromptModel {
  const store::ModelFiles& found;
  const gguf::File& file;
  std::shared_ptr<const chat::ChatModel> chat, raw;  // by its template, and without one
  uint32_t context;                                  // tokens
};

// Whether it can be told to think.
bool can_think(const chat::ChatModel& chat);

struct Prompted {
  std::vector<text::Token> tokens;
  std::string text;                                            // as far as it is one
  std::shared_ptr<const chat::ChatModel> chat;                 // that the answer is read by
  std::function<std::unique_ptr<chat::Answer>()> make_reader;  // one for each answer; needs `chat`
  grammar::AnswerRules rules = {};                             // that the answer is held to
  std::vector<text::Token> stop_tokens = {};                   // beside those of the vocabulary
  std::optional<uint32_t> most_thinking = {};                  // tokens
  bool with_context = false;                                   // the tokens of prompt and answer are told at the end
  std::vector<std::string> warnings = {};                      // what is done in another way than was asked
};

// Errors: kUsage, kUnsupported, with what the client can change; those of the chat model's functions.
Result<Prompted> make_prompt(const api::AnswerRequest& request, const PromptModel& model);

struct Prepared : Prompted {
  engine::Request request;  // with the tokens
};

// Likewise, and kTooLong. `pictures`: the request's, as the model sees them. Sets `prompt_tokens` as soon as they are
// counted.
Result<Prepared> prepare(const api::AnswerRequest& request, fleet::Resident& model, const SeenPictures& pictures,
                         uint32_t* prompt_tokens);

}  // namespace hearth::serve
