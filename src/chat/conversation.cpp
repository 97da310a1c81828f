#include "chat/conversation.h"

#include <algorithm>

#include "base/error.h"

namespace hearth::chat {
namespace {

constexpr uint32_t kAnswerRoom_tokens = 512;  // or a quarter of a small context
// What is longer than this by far is not tried as a whole: nearly all texts have fewer bytes per token.
constexpr uint64_t kManyBytesPerToken = 8;

// Where turns begin: at every message of the user's, and at the first message whosever it is.
std::vector<size_t> turn_starts(const std::vector<Message>& messages) {
  std::vector<size_t> starts = {0};
  for (size_t i = 1; i < messages.size(); ++i)
    if (messages[i].role == "user") starts.push_back(i);
  return starts;
}

uint64_t bytes_of(const Message& message) {
  uint64_t bytes = message.content.size();
  for (const ToolCall& call : message.calls) bytes += call.name.size() + call.arguments.size();
  return bytes;
}

}  // namespace

void Conversation::set_tools(std::vector<Tool> tools) {
  tools_ = std::move(tools);
  tool_set_ = std::make_shared<const ToolSet>(tools_);
}

void Conversation::add_answer(Message message, std::span<const text::Token> tokens) {
  known_.add_answer(tokens);
  messages_.push_back(std::move(message));
}

Result<Prompt> Conversation::render_from(size_t first) const {
  std::vector<Message> all;
  if (!system_.empty()) all.push_back({.role = "system", .content = system_});
  all.insert(all.end(), messages_.begin() + static_cast<ptrdiff_t>(first), messages_.end());
  return model_->prompt({.messages = all, .tools = tools_, .think = think_, .begins_call = begins_call_});
}

bool Conversation::surely_too_long(size_t first, uint64_t most_bytes) const {
  uint64_t bytes = 0;
  for (size_t i = first; i < messages_.size(); ++i)
    if ((bytes += bytes_of(messages_[i])) > most_bytes) return true;
  return false;
}

Result<std::optional<Conversation::Ready>> Conversation::encode_from(size_t first, uint32_t most) {
  // Messages are not even put together where they must be too long.
  const uint64_t most_bytes = uint64_t{most} * model_->tokenizer().longest_piece_bytes();
  if (surely_too_long(first, most_bytes)) return std::optional<Ready>();
  Ready ready{.tokens = {}, .prompt = {}, .dropped = first};
  ASSIGN_OR_RETURN(ready.prompt, render_from(first));
  ready.tokens = first == 0 ? known_.encode(ready.prompt.rendered) : model_->encode(ready.prompt.rendered);
  if (ready.tokens.size() > most) return std::optional<Ready>();
  return std::optional(std::move(ready));
}

Result<Conversation::Ready> Conversation::newest_turns(const std::vector<size_t>& starts, uint32_t most) {
  Ready best;
  const auto fits = [&](size_t turns) -> Result<bool> {
    ASSIGN_OR_RETURN(auto ready, encode_from(starts[starts.size() - turns], most));
    if (ready) best = std::move(*ready);
    return ready.has_value();
  };
  // From the end, twice as many each time, so that no more is tokenized than a few times what fits.
  size_t fit = 0, too_many = 1;
  while (too_many <= starts.size()) {
    ASSIGN_OR_RETURN(const bool good, fits(too_many));
    if (!good) break;
    fit = too_many;
    if (fit == starts.size()) return best;
    too_many = std::min(too_many * 2, starts.size());
  }
  while (too_many - fit > 1) {
    const size_t middle = fit + (too_many - fit) / 2;
    ASSIGN_OR_RETURN(const bool good, fits(middle));
    (good ? fit : too_many) = middle;
  }
  return best;
}

// All messages, if they fit.
Result<std::optional<Conversation::Ready>> Conversation::whole(uint32_t most) {
  if (!surely_too_long(0, uint64_t{most} * kManyBytesPerToken)) return encode_from(0, most);
  // Perhaps by a little, perhaps a thousand times: found out from the end, since nobody wants to tokenize that.
  ASSIGN_OR_RETURN(Ready ready, newest_turns(turn_starts(messages_), most));
  if (ready.tokens.empty() || ready.dropped > 0) return std::optional<Ready>();
  return std::optional(std::move(ready));
}

Error Conversation::too_long(uint32_t context, uint32_t most_context) const {
  return error(ErrorKind::kUsage, "the message does not fit into the context of {} tokens; shorten it{}", context,
               context < most_context ? fmt::format(", or start with a larger --ctx (at most {})", most_context) : "");
}

Result<Conversation::Ready> Conversation::prompt(uint32_t context, uint32_t most_context) {
  if (messages_.empty()) return error(ErrorKind::kUsage, "there is no message to answer");
  const uint32_t most = context - std::min(kAnswerRoom_tokens, context / 4);
  ASSIGN_OR_RETURN(auto all, whole(most));
  if (all) return std::move(*all);
  const std::vector<size_t> starts = turn_starts(messages_);
  Ready ready;
  if (starts.size() > 1) {
    ASSIGN_OR_RETURN(ready, newest_turns(starts, context / 2));
  }
  if (ready.tokens.empty()) {
    // The last turn alone. A short answer is better than none.
    ASSIGN_OR_RETURN(auto last, encode_from(starts.back(), context - 1));
    if (!last) return too_long(context, most_context);
    ready = std::move(*last);
  }
  messages_.erase(messages_.begin(), messages_.begin() + static_cast<ptrdiff_t>(ready.dropped));
  ready.tokens = known_.encode(ready.prompt.rendered);
  return ready;
}

}  // namespace hearth::chat
