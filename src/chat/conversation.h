// A conversation as the prompt of its next answer, kept within the context.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "chat/answer.h"
#include "chat/known_tokens.h"

namespace hearth::chat {

class Conversation {
 public:
  // `model` must outlive it.
  explicit Conversation(const ChatModel& model) : model_(&model), known_(model) {}

  void set_system(std::string system) { system_ = std::move(system); }
  const std::string& system() const { return system_; }
  void set_tools(std::vector<Tool> tools);
  const std::vector<Tool>& tools() const { return tools_; }
  void set_think(Think think) { think_ = think; }
  void set_begins_call(bool begins) { begins_call_ = begins; }  // see PromptRequest
  void add(Message message) { messages_.push_back(std::move(message)); }
  void add(std::string role, std::string content) { add({.role = std::move(role), .content = std::move(content)}); }
  // The answer to the last prompt(), and the tokens that it was made of.
  void add_answer(Message message, std::span<const text::Token> tokens);
  // Messages from `count` on are forgotten.
  void shorten(size_t count) { messages_.resize(std::min(count, messages_.size())); }
  void clear() { messages_.clear(); }
  const std::vector<Message>& messages() const { return messages_; }

  struct Ready {
    std::vector<text::Token> tokens;
    Prompt prompt;
    size_t dropped = 0;  // messages that were forgotten to make room
  };
  // The prompt, with room for an answer in a context of `context` tokens. If it does not fit, the oldest turns (a
  // user's message and what follows it) are dropped, so many that half of the context is free: the prompts of the turns
  // to come then begin with this one and find it in the cache. The time this takes is that of a few whole contexts,
  // however long the conversation is. Errors: kUsage if there is no message, or if even the last turn alone does not
  // fit (then nothing is dropped); a larger --ctx is offered where `most_context`, of the model, is larger; those of
  // ChatModel::prompt().
  Result<Ready> prompt(uint32_t context, uint32_t most_context = 0);
  // A reader for the answer to that. `is_json`: by request, so that JSON alone is no call.
  Answer answer_to(const Ready& ready, bool is_json = false) const {
    ParserOptions options = model_->parser_options(ready.prompt, tool_set_);
    options.reads_bare_calls = !is_json;
    return {model_->format(), std::move(options), model_->tokenizer()};
  }

 private:
  Result<Prompt> render_from(size_t first) const;
  // The prompt from message `first` on; nothing if it has more than `most` tokens.
  Result<std::optional<Ready>> encode_from(size_t first, uint32_t most);
  bool surely_too_long(size_t first, uint64_t most_bytes) const;
  // The most turns, of those that begin at `starts`, of at most `most` tokens together; without tokens if not even one
  // fits.
  Result<Ready> newest_turns(const std::vector<size_t>& starts, uint32_t most);
  Result<std::optional<Ready>> whole(uint32_t most);
  Error too_long(uint32_t context, uint32_t most_context) const;

  const ChatModel* model_;
  std::string system_;
  std::vector<Tool> tools_;
  std::shared_ptr<const ToolSet> tool_set_;
  Think think_ = Think::kDefault;
  bool begins_call_ = false;
  std::vector<Message> messages_;
  KnownTokens known_;
};

}  // namespace hearth::chat
