// A request of Anthropic's Messages API (https://docs.anthropic.com/en/api/messages) as hearth's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/json.h"
#include "api/service.h"

namespace hearth::api::anthropic {

// What of a request decides the form of the reply.
struct ReplyForm {
  std::string model;           // as the request names it
  bool thinking = false;       // was asked for, and is shown
  bool omits_thinking = false;  // the blocks are empty, and their signatures carry the text
  bool edits_context = false;   // the request has context_management, which the reply has to have too
};

struct Ask {
  AnswerRequest request = {};
  bool stream = false;
  std::vector<std::string> warnings = {};  // "parameter=why it is dropped"
  ReplyForm form = {};
};

// Blame::code of a request that leaves the conversation to the server.
inline constexpr const char* kThread_code = "thread_unsupported_request";

// Of messages; to count their tokens, max_tokens may be absent. Errors: kUsage, with `blame` set.
Result<Ask> decode_messages(std::string_view body, bool counts_only, Blame* blame);

// --- Parts of that; errors as above.

// The system text, and the conversation. Blocks that cannot be read honestly are refused.
Status decode_conversation(const Fields& fields, ChatInput& input, std::vector<std::string>& warnings);
Status decode_tools(const Fields& fields, ChatInput& input, std::vector<std::string>& warnings);
// The text of a block list, or of a string; blocks that are no text are described, or refused.
Result<std::string> text_of_blocks(const Fields& fields, std::string_view name, std::string_view separator,
                                   std::vector<std::string>& warnings);

Error required(const Fields& fields, std::string_view name);

}  // namespace hearth::api::anthropic
