#include "text/chat.h"

#include <algorithm>

namespace hearth::text {
namespace {

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

std::string_view cut_thinking(std::string_view answer, ChatTemplate::Thinking thinking) {
  constexpr std::string_view kEnd = "</think>";
  const size_t end = answer.rfind(kEnd);
  if (thinking == ChatTemplate::Thinking::kKept || end == std::string_view::npos) return answer;
  answer.remove_prefix(end + kEnd.size());
  if (thinking == ChatTemplate::Thinking::kCutAll)
    answer.remove_prefix(std::min(answer.find_first_not_of('\n'), answer.size()));
  return answer;
}

void append(std::string* out, const ChatTemplate::Around& around, std::string_view content) {
  out->append(around.before).append(content).append(around.behind);
}

bool is_user(const Message& message) {
  return message.role != "system" && message.role != "assistant";
}

}  // namespace

std::string ChatTemplate::render(std::span<const Message> messages) const {
  size_t last_user = messages.size();
  for (size_t i = 0; i < messages.size(); ++i)
    if (is_user(messages[i])) last_user = i;

  std::string out, waiting;  // waiting: system messages that go into a user's message
  const auto add_system = [&](std::string_view content) {
    append(system_place == System::kOwnTurn ? &out : &waiting, system, content);
  };
  if (default_system && (messages.empty() || messages[0].role != "system")) add_system(*default_system);
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string_view content = trims ? trim(messages[i].content) : std::string_view(messages[i].content);
    if (messages[i].role == "system") {
      add_system(content);
    } else if (messages[i].role == "assistant") {
      append(&out, assistant, cut_thinking(content, thinking));
    } else if (system_place == System::kLastUser && i != last_user) {
      append(&out, user, content);
    } else {
      append(&out, user, waiting.append(content));
      waiting.clear();
    }
  }
  if (!waiting.empty()) append(&out, user, waiting);
  return out.append(answer);
}

const ChatTemplate* recognise_chat_template(std::string_view source) {
  const ChatTemplate* best = nullptr;
  size_t best_length = 0;
  for (const ChatTemplate& entry : all_chat_templates()) {
    size_t length = 0;
    for (const std::string_view mark : entry.marks) length += mark.size();
    const bool fits = std::all_of(entry.marks.begin(), entry.marks.end(),
                                  [&](std::string_view mark) { return source.find(mark) != std::string_view::npos; });
    if (fits && length > best_length) {
      best = &entry;
      best_length = length;
    }
  }
  return best;
}

const ChatTemplate* find_chat_template(const gguf::File& file) {
  return recognise_chat_template(file.string_or("tokenizer.chat_template", ""));
}

}  // namespace hearth::text
