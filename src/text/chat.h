// Conversations as the text a chat model was trained on: a plain built-in set of the common families.
// (The full interpreter of a model's own Jinja template comes with the server.)
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"

namespace hearth::text {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// One family's way of writing a conversation.
struct ChatTemplate {
  const char* name;  // "chatml", "llama3", ...
  // Whether a model's own template text (tokenizer.chat_template) belongs to this family.
  bool (*recognises)(std::string_view source);
  // The text before the assistant's next answer, without the start token (the tokenizer adds it).
  std::string (*render)(std::span<const Message> messages);
  std::vector<std::string> stops;  // texts that end an answer, beside the end-of-generation tokens
};

// The family of this model by its tokenizer.chat_template; null if it has none or an unknown one
// (then run uses the text as it is, and says so).
const ChatTemplate* find_chat_template(const gguf::File& file);

}  // namespace hearth::text
