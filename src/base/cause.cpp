#include "base/cause.h"

#include <algorithm>

namespace hearth {
namespace {

std::string fact_of(const Cause& cause, std::string_view name) {
  const auto found =
      std::ranges::find(cause.facts, name, [](const auto& fact) { return std::string_view(fact.first); });
  return found != cause.facts.end() ? found->second : "";
}

// Facts may hold braces of their own, so each place is looked at once.
std::string filled(std::string_view words, const Cause& cause) {
  std::string text;
  while (!words.empty()) {
    const size_t open = words.find('{'), close = words.find('}', open);
    if (close == std::string_view::npos) break;
    text += words.substr(0, open);
    text += fact_of(cause, words.substr(open + 1, close - open - 1));
    words.remove_prefix(close + 1);
  }
  return text += words;
}

std::string id_and_facts(const Cause& cause) {
  std::string text = cause.id;
  for (const auto& [name, value] : cause.facts) text += (text == cause.id ? " (" : ", ") + name + ": " + value;
  return cause.facts.empty() ? text : text + ")";
}

}  // namespace

const CauseWords* find_cause_words(std::string_view id) {
  const auto& all = RegisterCauseWords::all();
  const auto found = std::ranges::find(all, id, [](const CauseWords* words) { return std::string_view(words->id); });
  return found != all.end() ? *found : nullptr;
}

std::string what_of(const Cause& cause) {
  if (cause.empty()) return {};
  const CauseWords* words = find_cause_words(cause.id);
  std::string text = cause.during.empty() ? "" : cause.during + ": ";
  text += words != nullptr ? filled(words->what, cause) : id_and_facts(cause);
  return cause.detail.empty() ? text : text + " " + cause.detail;
}

std::string remedy_of(const Cause& cause) {
  const CauseWords* words = find_cause_words(cause.id);
  return words != nullptr ? filled(words->remedy, cause) : "";
}

std::string text_of(const Cause& cause) {
  const std::string remedy = remedy_of(cause);
  return remedy.empty() ? what_of(cause) : what_of(cause) + "; " + remedy;
}

}  // namespace hearth
