// A conversation as the prompt of its next answer, kept within the context.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace hearth::cli {

class Conversation {
 public:
  // Without a template (null) the messages are put one after the other as they are.
  Conversation(const text::Tokenizer& tokenizer, const text::ChatTemplate* chat_template)
      : tokenizer_(tokenizer), template_(chat_template) {}

  void set_system(std::string system) { system_ = std::move(system); }
  const std::string& system() const { return system_; }
  void add(std::string role, std::string content) { messages_.push_back({std::move(role), std::move(content)}); }
  void remove_last() { messages_.pop_back(); }
  void clear() { messages_.clear(); }
  const std::vector<text::Message>& messages() const { return messages_; }

  std::string render() const;
  std::vector<std::string> stops() const;

  struct Prompt {
    std::vector<text::Token> tokens;
    size_t dropped = 0;  // messages that were forgotten to make room
  };
  // The prompt, with room for an answer in a context of `context` tokens; the oldest turns (a user's message
  // and what follows it) are dropped until it fits. kUsage if even the last message alone does not fit.
  Result<Prompt> prompt(uint32_t context);

 private:
  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate* template_;
  std::string system_;
  std::vector<text::Message> messages_;
};

struct Session;
// With the session's system message and the messages that its model brings along. The session must outlive it.
Conversation start_conversation(const Session& session);

}  // namespace hearth::cli
