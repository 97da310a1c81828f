// What a request becomes for a loaded model: tokens, how they are answered, and how the answer is read.
#pragma once

#include <memory>

#include "api/service.h"
#include "chat/answer.h"
#include "engine/engine.h"
#include "serve/models.h"

namespace hearth::serve {

struct Prepared {
  engine::Request request;
  std::shared_ptr<const chat::ChatModel> chat;  // that reads the answer, and lives as long as the reader
  std::unique_ptr<chat::Answer> reader;
  bool with_context = false;  // the tokens of prompt and answer are told at the end
};

// Errors: kUsage, kTooLong, kUnsupported, with what the client can change; those of the chat model's functions.
Result<Prepared> prepare(const api::AnswerRequest& request, Resident& model);

}  // namespace hearth::serve
