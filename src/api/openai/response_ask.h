// A request of OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses) as hearth's own.
#pragma once

#include <boost/json.hpp>

#include "api/openai/ask.h"
#include "api/openai/response_store.h"

namespace hearth::api::openai {

// What of a request decides the form of the response.
struct ResponseForm {
  ReplyForm reply = {};
  boost::json::object echo = {};  // the members of the response that repeat the request
  Items context = {};             // the conversation, with what a previous response brings along
  size_t input_from = 0;          // of it: this request's input
  bool encrypts_reasoning = false, summarises = false, logprobs = false;
  std::vector<std::string> warnings = {};  // of decoding
};

struct ResponseAsk {
  AnswerRequest request = {};
  ResponseForm form = {};
  bool stream = false, stores = true;
};

// `previous` finds stored responses. Errors: kUsage, with `blame` set.
using FindResponse = std::function<std::shared_ptr<const StoredResponse>(const std::string& id)>;
Result<ResponseAsk> decode_response(std::string_view body, const FindResponse& previous, Blame* blame);

// Items as the messages of a conversation. Errors as above.
Result<std::vector<chat::Message>> messages_of(const Items& items, const Fields& fields, size_t input_from,
                                               std::vector<std::string>& warnings);

}  // namespace hearth::api::openai
