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

// Where turns begin: at every message of the user's, and at the first message whosever it is.
std::vector<size_t> turn_starts(const std::vector<text::Message>& messages) {
  std::vector<size_t> starts = {0};
  for (size_t i = 1; i < messages.size(); ++i)
    if (messages[i].role == "user") starts.push_back(i);
  return starts;
}

}  // namespace

std::string Conversation::render() const {
  return render_from(0);
}

std::string Conversation::render_from(size_t first) const {
  std::vector<text::Message> all;
  if (!system_.empty()) all.push_back({"system", system_});
  all.insert(all.end(), messages_.begin() + static_cast<ptrdiff_t>(first), messages_.end());
  return template_ != nullptr ? template_->render(all) : plain(all);
}

std::vector<std::string> Conversation::stops() const {
  return template_ != nullptr ? template_->stops : std::vector<std::string>();
}

std::optional<std::vector<text::Token>> Conversation::encode_from(size_t first, uint32_t most) const {
  // Messages are not even put together where they must be too long.
  const uint64_t most_bytes = uint64_t{most} * tokenizer_.longest_piece_bytes();
  uint64_t bytes = 0;
  for (size_t i = first; i < messages_.size(); ++i)
    if ((bytes += messages_[i].content.size()) > most_bytes) return std::nullopt;
  std::vector<text::Token> tokens = tokenizer_.encode(render_from(first), {.add_special = true, .parse_special = true});
  if (tokens.size() > most) return std::nullopt;
  return tokens;
}

Conversation::Prompt Conversation::newest_turns(const std::vector<size_t>& starts, uint32_t most) const {
  Prompt best;
  const auto fits = [&](size_t turns) {
    const size_t first = starts[starts.size() - turns];
    auto tokens = encode_from(first, most);
    if (tokens) best = {std::move(*tokens), first};
    return tokens.has_value();
  };
  // From the end, twice as many each time, so that no more is tokenized than a few times what fits.
  size_t fit = 0, too_many = 1;
  while (too_many < starts.size() && fits(too_many)) {
    fit = too_many;
    too_many *= 2;
  }
  too_many = std::min(too_many, starts.size());  // all of them are known not to fit
  while (too_many - fit > 1) {
    const size_t middle = fit + (too_many - fit) / 2;
    (fits(middle) ? fit : too_many) = middle;
  }
  return best;
}

Error Conversation::too_long(uint32_t context, uint32_t most_context) const {
  return error(ErrorKind::kUsage, "the message does not fit into the context of {} tokens; shorten it{}", context,
               context < most_context ? fmt::format(", or start with a larger --ctx (at most {})", most_context) : "");
}

Result<Conversation::Prompt> Conversation::prompt(uint32_t context, uint32_t most_context) {
  if (messages_.empty()) return error(ErrorKind::kUsage, "there is no message to answer");
  const uint32_t most = context - std::min(kAnswerRoom_tokens, context / 4);
  if (auto tokens = encode_from(0, most)) return Prompt{std::move(*tokens), 0};
  const std::vector<size_t> starts = turn_starts(messages_);
  Prompt prompt;
  if (starts.size() > 1) prompt = newest_turns(starts, context / 2);
  if (prompt.tokens.empty()) {
    // The last turn alone. A short answer is better than none.
    auto tokens = encode_from(starts.back(), context - 1);
    if (!tokens) return too_long(context, most_context);
    prompt = {std::move(*tokens), starts.back()};
  }
  messages_.erase(messages_.begin(), messages_.begin() + static_cast<ptrdiff_t>(prompt.dropped));
  return prompt;
}

Conversation start_conversation(const Session& session) {
  Conversation conversation(session.tokenizer(), session.chat_template);
  conversation.set_system(session.system);
  for (const store::Message& message : session.messages) conversation.add(message.role, message.content);
  return conversation;
}

}  // namespace hearth::cli
