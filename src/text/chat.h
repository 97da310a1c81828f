// Conversations as the text a chat model was trained on: a plain built-in set of the common families.
// (The full interpreter of a model's own Jinja template comes with the server.)
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"

namespace hearth::text {

struct Message {
  std::string role;  // "system", "user", "assistant"; any other is written as the user's
  std::string content;
};

// One family's way of writing a conversation.
struct ChatTemplate {
  // What stands before and behind a message's content.
  struct Around {
    std::string_view before, behind;
  };
  enum class System {
    kOwnTurn,   // where it stands, as a turn of its own
    kNextUser,  // inside the user's next message, before its content
    kLastUser,  // inside the user's last message
  };
  enum class Thinking {
    kKept,    // earlier answers are repeated as they are
    kCut,     // without what comes before </think>
    kCutAll,  // and without the line breaks behind it
  };

  const char* name;  // "chatml", "llama3", ...
  // A model's own template (tokenizer.chat_template) belongs to the family if it contains all of these.
  std::vector<std::string_view> marks;
  Around user, assistant, system;
  std::string_view answer;                              // opens the answer that is asked for
  std::vector<std::string> stops = {};                  // texts that end an answer, beside the end-of-generation tokens
  std::optional<std::string_view> default_system = {};  // where the conversation does not begin with one
  System system_place = System::kOwnTurn;
  Thinking thinking = Thinking::kKept;
  bool trims = false;  // white space around contents is dropped

  // The text up to where the assistant's next answer begins, without the start token (the tokenizer
  // adds it). To be encoded with EncodeOptions::parse_special.
  std::string render(std::span<const Message> messages) const;
};

std::span<const ChatTemplate> all_chat_templates();

// The family of a template's source: of those whose marks all occur, the one with the longest marks. Null
// if there is none.
const ChatTemplate* recognise_chat_template(std::string_view source);

// The family of this model by its tokenizer.chat_template; null if it has none or an unknown one
// (then run uses the text as it is, and says so).
const ChatTemplate* find_chat_template(const gguf::File& file);

}  // namespace hearth::text
