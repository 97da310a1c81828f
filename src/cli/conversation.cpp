#include "cli/conversation.h"

#include <algorithm>

#include "base/error.h"
#include "cli/session.h"

namespace hearth::cli {
namespace {

constexpr uint32_t kAnswerRoom_tokens = 512;  // or a quarter of a small context

std::string plain(const std::vector<text::Message>& messages) {
  std::string text;
  for (const text::Message& message : messages) {
    text += message.content;
    if (message.role == "system") text += "\n\n";
  }
  return text;
}

}  // namespace

std::string Conversation::render() const {
  std::vector<text::Message> all;
  if (!system_.empty()) all.push_back({"system", system_});
  all.insert(all.end(), messages_.begin(), messages_.end());
  return template_ != nullptr ? template_->render(all) : plain(all);
}

std::vector<std::string> Conversation::stops() const {
  return template_ != nullptr ? template_->stops : std::vector<std::string>();
}

Result<Conversation::Prompt> Conversation::prompt(uint32_t context) {
  const uint32_t most = context - std::min(kAnswerRoom_tokens, context / 4);
  Prompt prompt;
  while (true) {
    prompt.tokens = tokenizer_.encode(render(), {.add_special = true, .parse_special = true});
    if (prompt.tokens.size() <= most) return prompt;
    const auto next_turn =
        std::find_if(messages_.begin() + 1, messages_.end(), [](const auto& m) { return m.role == "user"; });
    if (next_turn == messages_.end()) break;
    prompt.dropped += static_cast<size_t>(next_turn - messages_.begin());
    messages_.erase(messages_.begin(), next_turn);
  }
  if (prompt.tokens.size() < context) return prompt;  // a short answer is better than none
  return error(ErrorKind::kUsage,
               "the message has {} tokens, but the context has {}; shorten it, or start with a larger --ctx",
               prompt.tokens.size(), context);
}

Conversation start_conversation(const Session& session) {
  Conversation conversation(session.tokenizer(), session.chat_template);
  conversation.set_system(session.system);
  for (const store::Message& message : session.messages) conversation.add(message.role, message.content);
  return conversation;
}

}  // namespace hearth::cli
