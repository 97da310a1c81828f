// What a MarkupParser looks for in each of its states, and in which state an answer begins.
#include <algorithm>

#include "chat/markup_parser.h"

namespace hearth::chat {

using Where = Opener::Where;

void MarkupParser::build_marks(const Markers& markers) {
  const auto add = [&](Marks* marks, std::string_view text, Mark mark, size_t index) {
    if (text.empty()) return;
    markers.add(&marks->literals, text);
    marks->meanings.emplace_back(mark, index);
  };
  reasoning_marks_.resize(thinking_.size());
  for (size_t i = 0; i < thinking_.size(); ++i) {
    const Thinking& thinking = thinking_[i];
    add(&start_, thinking.opens, Mark::kOpensThinking, i);
    add(&start_, thinking.closes, Mark::kClosesThinking, i);
    add(&reasoning_marks_[i], thinking.closes, Mark::kClosesThinking, i);
    opens_.push_back(markers.literals({thinking.opens}));
    closes_.push_back(markers.literals({thinking.closes}));
    if (!thinking.reopens) continue;
    add(&content_marks_, thinking.opens, Mark::kOpensThinking, i);
    add(&behind_, thinking.opens, Mark::kOpensThinking, i);
  }
  for (size_t i = 0; i < markup_.wrappers.size(); ++i) {
    add(&start_, markup_.wrappers[i].opens, Mark::kOpensWrapper, i);
    add(&behind_, markup_.wrappers[i].opens, Mark::kOpensWrapper, i);
    add(&content_marks_, markup_.wrappers[i].closes, Mark::kClosesWrapper, i);
  }
  for (const std::string_view text : markup_.dropped) {
    const bool of_calls = std::find(markup_.closers.begin(), markup_.closers.end(), text) != markup_.closers.end();
    if (of_calls && !context_.reads_calls) continue;
    for (Marks* marks : {&start_, &content_marks_, &behind_}) add(marks, text, Mark::kDropped, 0);
  }
}

void MarkupParser::build_call_marks(const Markers& markers) {
  const auto add = [&](Marks* marks, std::string_view text, Mark mark, size_t index) {
    markers.add(&marks->literals, text);
    marks->meanings.emplace_back(mark, index);
  };
  for (const std::string_view text : markup_.closers) {
    add(&behind_, text, Mark::kCloser, 0);
    add(&content_marks_, text, Mark::kCloser, 0);
  }
  for (const std::string_view text : markup_.sections) {
    for (Marks* marks : {&content_marks_, &section_marks_, &behind_}) add(marks, text, Mark::kSection, 0);
    for (Marks& marks : reasoning_marks_) add(&marks, text, Mark::kSection, 0);
  }
  for (size_t i = 0; i < markup_.openers.size(); ++i) {
    const auto& [text, make, where] = markup_.openers[i];
    add(&section_marks_, text, Mark::kOpener, i);
    add(&behind_, text, Mark::kOpener, i);
    if (where != Where::kInSection) add(&content_marks_, text, Mark::kOpener, i);
    if (where != Where::kAnywhere) continue;
    for (Marks& marks : reasoning_marks_) add(&marks, text, Mark::kOpener, i);
  }
}

void MarkupParser::begin_at(const Beginning& beginning) {
  using Reasoning = Beginning::Reasoning;
  if (beginning.reasoning == Reasoning::kOpen) {
    open_ = beginning.thinking;
    at_ = At::kInside;
  }
  if (beginning.opener.empty() || !context_.reads_calls) return;
  in_section_ = true;
  at_ = At::kSection;
  for (const Opener& opener : markup_.openers) {
    if (opener.text != beginning.opener) continue;
    at_ = At::kCall;
    reader_ = opener.make(context_.markers);
    inferred_ = opener.where == Where::kIfOffered;
    calls_.expect(inferred_ ? Calls::Evidence::kInference : Calls::Evidence::kMarker);
  }
}

}  // namespace hearth::chat
