// Replies in the form of OpenAI's Responses API.
#pragma once

#include <memory>

#include "api/deliver.h"
#include "api/openai/response_ask.h"

namespace hearth::api::openai {

struct ResponseContext {
  ResponseForm form;
  std::chrono::milliseconds ping_interval{0};
  std::shared_ptr<ResponseStore> store;  // null: this response is not kept
  std::string owner;
};
std::shared_ptr<AnswerWriter> make_response_writer(ResponseContext context);

}  // namespace hearth::api::openai
