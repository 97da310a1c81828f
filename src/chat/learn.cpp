#include "chat/learn.h"

#include <algorithm>

#include "chat/call_shapes.h"

namespace hearth::chat {
namespace {

// To the first of the sample tools.
ToolCall call(std::string arguments) {
  return {.id = std::string(sample::kId), .name = std::string(sample::kTool), .arguments = std::move(arguments)};
}
Message calling(std::vector<ToolCall> calls, std::string_view text = {}) {
  return {.role = "assistant", .content = std::string(text), .calls = std::move(calls)};
}

class Learner {
 public:
  Learner(const Renderer& renderer, const Capabilities& can, const Format& known,
          std::span<const SpecialToken> vocabulary)
      : can_(can), known_(known), vocabulary_(vocabulary), samples_(renderer, can) {}

  std::optional<Format> run() {
    if (!samples_.find_borders()) return std::nullopt;
    auto thoughts = std::make_shared<Learned>();
    std::vector<Thinking> thinking = known_.thinking;
    const bool learns_thinking = thinking.empty() && learn_thinking(thoughts.get(), &thinking);
    if (std::optional<Format> learned = learn_calls(thinking, thoughts)) return learned;
    if (!learns_thinking) return std::nullopt;
    Format format = make_format(*known_.family, known_.reason, thinking, vocabulary_);
    format.generic_tools = known_.generic_tools;
    format.owned = std::move(thoughts);
    return format;
  }

 private:
  bool is_mark(std::string_view text) const {
    if (std::ranges::any_of(vocabulary_, [&](const SpecialToken& token) { return token.text == text; })) return true;
    return text.size() >= 4 && (text[0] == '<' || text[0] == '[');
  }

  // Whether the answer, as the template writes it, is read as what it was. `may_be_missing`: the template need not be
  // able to write it.
  bool gives_back(const Format& format, const Message& answer, bool may_be_missing = false) const {
    const auto text = samples_.body(answer);
    if (!text) return may_be_missing;
    const bool shows_text = text->find(answer.content) != std::string::npos;
    if (!shows_text && !may_be_missing) return false;
    const Message message = read_sample(format, *text, vocabulary_);
    return same_calls(message.calls, answer.calls) && message.content == (shows_text ? answer.content : "");
  }

  // -- reasoning

  bool learn_thinking(Learned* owner, std::vector<Thinking>* thinking) const {
    if (!can_.reasoning_history) return false;
    Message answer{.role = "assistant", .content = std::string(sample::kText)};
    answer.reasoning = sample::kReasoning;
    const auto text = samples_.body(answer);
    const size_t begin = text ? text->find(sample::kReasoning) : std::string::npos;
    const size_t end = begin == std::string::npos ? begin : begin + sample::kReasoning.size();
    const size_t behind = end == std::string::npos ? end : text->find(sample::kText, end);
    if (behind == std::string::npos) return false;
    const std::string_view whole = *text;
    const std::string_view before_text = trimmed(samples_.before_text());
    std::string_view closes = trimmed(whole.substr(end, behind - end));
    if (closes.ends_with(before_text)) closes = trimmed(closes.substr(0, closes.size() - before_text.size()));
    const std::string_view opens = trimmed(whole.substr(0, begin));
    if (!is_mark(opens) || !is_mark(closes) || opens == closes) return false;
    thinking->push_back({.opens = owner->keep(opens), .closes = owner->keep(closes)});
    Format format = make_format(*known_.family, {}, *thinking, vocabulary_);
    const Message message = read_sample(format, *text, vocabulary_);
    const bool right =
        message.reasoning == sample::kReasoning && (!before_text.empty() || message.content == sample::kText);
    if (!right) thinking->pop_back();
    return right;
  }

  // -- calls

  std::optional<Format> learn_calls(const std::vector<Thinking>& thinking, const std::shared_ptr<Learned>& thoughts) {
    if (!can_.tools || !can_.tool_calls) return std::nullopt;
    const Message one = one_call(), two_arguments = call_with_two_arguments(), pair = two_calls();
    const auto text = samples_.body(one), text_of_two = samples_.body(two_arguments);
    if (!text || !text_of_two || knows(*text)) return std::nullopt;
    const auto text_of_pair = can_.parallel_calls ? samples_.body(pair) : std::nullopt;
    const CallSamples samples{.one = without_thoughts(*text, thinking),
                              .pair = without_thoughts(text_of_pair.value_or(""), thinking),
                              .two_arguments = without_thoughts(*text_of_two, thinking)};
    const std::vector<Message> all = {one,
                                      two_arguments,
                                      calling({call("{}")}),
                                      calling({call(R"({"qxkey": "It's \"a\"\n<b> & {c}: \u00e9", "qxcount": 7})")}),
                                      calling({call(R"({"qxmap": {"qxkey": [1, "two", {}]}, "qxother": "3"})")}),
                                      calling(one.calls, sample::kText)};
    for (const auto& shape : possible_shapes(samples, [this](std::string_view mark) { return is_mark(mark); })) {
      complete(shape.get(), thinking);
      Format format = make_format(shape->family, reason_for(shape->family), thinking, vocabulary_);
      const bool right = std::ranges::all_of(
          all, [&](const Message& answer) { return gives_back(format, answer, !answer.content.empty()); });
      if (!right || !gives_back(format, {.role = "assistant", .content = std::string(sample::kText)})) continue;
      if (can_.parallel_calls && !gives_back(format, pair)) continue;
      format.owned = std::make_shared<std::pair<std::shared_ptr<Learned>, std::shared_ptr<Learned>>>(shape, thoughts);
      return format;
    }
    return std::nullopt;
  }

  // The known family reads calls of the template, whatever else it makes of them: then it is trusted more than what can
  // be learned, for it was made from what models write, not from what templates do.
  bool knows(std::string_view text) const {
    return known_.family->tools() && !read_sample(known_, text, vocabulary_).calls.empty();
  }

  void complete(Learned* shape, const std::vector<Thinking>& thinking) const {
    Family& family = shape->family;
    family.name = "learned";
    family.stops = known_.family->stops;
    family.stop_strings = known_.family->stop_strings;
    family.ids = can_.form.nine_character_ids ? CallIds::Style::kNine : CallIds::Style::kLong;
    std::string before = samples_.before_text();
    for (const Thinking& marks : thinking) {
      if (const size_t at = before.find(marks.closes); at != std::string::npos)
        before.erase(0, at + marks.closes.size());
    }
    const std::string_view opens = trimmed(before), closes = trimmed(samples_.behind_text());
    if (!opens.empty()) family.markup.wrappers = {{shape->keep(opens), shape->keep(closes)}};
    if (const SpecialToken* end = token_at(trimmed(samples_.tail()), vocabulary_))
      family.stops.push_back(shape->keep(end->text));
  }

  static std::string reason_for(const Family& family) {
    const Markup& markup = family.markup;
    std::string marks;
    for (const std::string_view section : markup.sections) marks += std::string(section) + " ";
    for (const Opener& opener : markup.openers) marks += std::string(opener.text) + " ";
    if (marks.empty()) return "its calls were learned from the chat template, which writes them without a mark";
    marks.pop_back();
    return "its calls were learned from the chat template, which writes " + marks + " before them";
  }

  const Capabilities& can_;
  const Format& known_;
  const std::span<const SpecialToken> vocabulary_;
  Samples samples_;
};

}  // namespace

std::optional<Format> learn(const Renderer& renderer, const Capabilities& can, const Format& known,
                            std::span<const SpecialToken> vocabulary) {
  return Learner(renderer, can, known, vocabulary).run();
}

}  // namespace hearth::chat
