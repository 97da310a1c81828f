#include "chat/format.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "chat/generic.h"
#include "chat/harmony_parser.h"
#include "chat/markup_parser.h"

namespace hearth::chat {
namespace {

using Contains = std::function<bool(std::string_view)>;

bool contains_all(const std::vector<std::string_view>& texts, const Contains& contains) {
  return std::all_of(texts.begin(), texts.end(), contains);
}

// The most specific family one of whose sets is contained.
const Family* best(std::vector<std::vector<std::string_view>> Family::*sets, bool mind_absent,
                   const Contains& contains) {
  const Family* found = nullptr;
  for (const Family* family : RegisterFamily::all()) {
    if (found != nullptr && found->rank <= family->rank) continue;
    const auto& candidates = family->*sets;
    const bool fits = std::any_of(candidates.begin(), candidates.end(),
                                  [&](const auto& texts) { return contains_all(texts, contains); });
    const bool spoilt = mind_absent && std::any_of(family->absent.begin(), family->absent.end(), contains);
    if (fits && !spoilt) found = family;
  }
  return found;
}

const Family* by_call_tokens(const Contains& in_vocabulary) {
  for (const Family* family : RegisterFamily::all()) {
    if (std::any_of(family->call_tokens.begin(), family->call_tokens.end(), in_vocabulary)) return family;
  }
  return nullptr;
}

struct Choice {
  const Family* family;
  std::string reason;
};

Choice choose(const Facts& facts, const Contains& in_template, const Contains& in_vocabulary) {
  if (const Family* family = find_family(facts.family)) return {family, "it was chosen"};
  const Family* found = nullptr;
  if (!facts.template_text.empty()) {
    found = best(&Family::marks, true, in_template);
    if (found != nullptr && found->tools()) return {found, "the chat template has its markers"};
  } else {
    found = best(&Family::vocabulary, false, in_vocabulary);
    if (found != nullptr && found->tools())
      return {found, "there is no chat template, and the vocabulary has its tokens"};
  }
  if (const Family* caller = by_call_tokens(in_vocabulary))
    return {caller, "the vocabulary has its tokens for calls, though the chat template shows no tools"};
  if (found != nullptr) return {found, "its turns are marked so; it has no format for calls"};
  const Family* plain = find_family("plain");
  CHECK(plain != nullptr);
  return {plain, facts.template_text.empty() ? "there is no chat template, and no token that tells a family"
                                             : "the chat template has the markers of no known family"};
}

// Those of the family, and those that the template or the vocabulary mentions.
std::vector<Thinking> find_thinking(const Family& family, const Contains& mentioned, bool has_template) {
  static const Thinking kCommon[] = {{"<think>", "</think>"},
                                     {"<seed:think>", "</seed:think>"},
                                     {"<mm:think>", "</mm:think>"},
                                     {"[THINK]", "[/THINK]"},
                                     {"<thought>", "</thought>"},
                                     {"<thinking>", "</thinking>"},
                                     {"<|START_THINKING|>", "<|END_THINKING|>"},
                                     {"<|inner_prefix|>", "<|inner_suffix|>"},
                                     {"\u25C1think\u25B7", "\u25C1/think\u25B7"}};
  std::vector<Thinking> out;
  for (const Thinking& own : family.markup.thinking) {
    if (own.always || !has_template || mentioned(own.closes)) out.push_back(own);
  }
  for (const Thinking& common : kCommon) {
    const bool known =
        std::any_of(out.begin(), out.end(), [&](const Thinking& own) { return own.opens == common.opens; });
    if (!known && mentioned(common.closes)) out.push_back(common);
  }
  return out;
}

// All texts that readers of this family's answers look for.
Markers::Texts asked_texts(const Family& family, const std::vector<Thinking>& thinking) {
  Markers::Texts asked;
  const Markers markers({}, &asked);
  const ToolSet tools;
  Output output;
  const Context context{markers, tools, true, true, true, CallIds(family.ids, 0), output};
  HarmonyParser harmony({}, context);
  if (!family.harmony) asked.clear();
  const Markup& markup = family.tools() ? family.markup : generic_markup();
  MarkupParser parser(markup, thinking, {}, context);
  for (const Opener& opener : markup.openers) opener.make(markers);
  for (const MakeReader* make : {&markup.section_body, &markup.bare}) {
    if (*make != nullptr) (*make)(markers);
  }
  return asked;
}

}  // namespace

const Family* find_family(std::string_view name) {
  for (const Family* family : RegisterFamily::all()) {
    if (family->name == name) return family;
  }
  return nullptr;
}

const Family* find_family_of_parser(std::string_view ollama_parser) {
  for (const Family* family : RegisterFamily::all()) {
    if (std::ranges::find(family->ollama_parsers, ollama_parser) != family->ollama_parsers.end()) return family;
  }
  return nullptr;
}

Format recognise(const Facts& facts) {
  std::set<std::string_view> tokens;
  for (const SpecialToken& token : facts.vocabulary) tokens.insert(token.text);
  const Contains in_vocabulary = [&](std::string_view text) { return tokens.contains(text); };
  const Contains in_template = [&](std::string_view text) {
    return facts.template_text.find(text) != std::string::npos;
  };
  const Contains mentioned = [&](std::string_view text) { return in_template(text) || in_vocabulary(text); };

  auto [family, reason] = choose(facts, in_template, in_vocabulary);
  std::vector<Thinking> thinking = find_thinking(*family, mentioned, !facts.template_text.empty());
  return make_format(*family, std::move(reason), std::move(thinking), facts.vocabulary);
}

Format make_format(const Family& family, std::string reason, std::vector<Thinking> thinking,
                   std::span<const SpecialToken> vocabulary) {
  Markers::Texts tokens;
  std::map<text::Token, std::string> visible;
  const Markers::Texts asked = asked_texts(family, thinking);
  for (const SpecialToken& token : vocabulary) {
    tokens.insert(token.text);
    const bool part = !token.text.empty() && std::any_of(asked.begin(), asked.end(), [&](const std::string& text) {
      return text.find(token.text) != std::string::npos;
    });
    if (part) visible.emplace(token.id, token.text);
  }
  return {.family = &family,
          .reason = std::move(reason),
          .thinking = std::move(thinking),
          .markers = Markers(std::move(tokens)),
          .visible = std::move(visible),
          .generic_tools = !family.tools()};
}

std::vector<text::Token> end_tokens(const Family& family, const std::function<text::Token(std::string_view)>& find) {
  std::vector<text::Token> out;
  for (const std::string_view text : family.stops) {
    if (const text::Token token = find(text); token != text::kNoToken) out.push_back(token);
  }
  return out;
}

}  // namespace hearth::chat
