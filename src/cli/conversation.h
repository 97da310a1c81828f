// A conversation as the prompt of its next answer, kept within the context.
#pragma once

#include <optional>
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
  // The prompt, with room for an answer in a context of `context` tokens. If it does not fit, the oldest turns (a
  // user's message and what follows it) are dropped, so many that half of the context is free: the prompts of the turns
  // to come then begin with this one and find it in the cache. The time this takes is that of a few whole contexts,
  // however long the conversation is. Errors: kUsage if there is no message, or if even the last turn alone does not
  // fit (then nothing is dropped); a larger --ctx is offered where `most_context`, of the model, is larger.
  Result<Prompt> prompt(uint32_t context, uint32_t most_context = 0);

 private:
  std::string render_from(size_t first) const;
  // The prompt from message `first` on; nothing if it has more than `most` tokens.
  std::optional<std::vector<text::Token>> encode_from(size_t first, uint32_t most) const;
  // The most turns, of those that begin at `starts`, of at most `most` tokens together.
  Prompt newest_turns(const std::vector<size_t>& starts, uint32_t most) const;
  Error too_long(uint32_t context, uint32_t most_context) const;

  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate* template_;
  std::string system_;
  std::vector<text::Message> messages_;
};

struct Session;
// With the session's system message and the messages that its model brings along. The session must outlive it.
Conversation start_conversation(const Session& session);

}  // namespace hearth::cli
