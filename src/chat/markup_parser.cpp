#include "chat/markup_parser.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace hearth::chat {

using Where = Opener::Where;

namespace {
constexpr size_t kNoWrapper = static_cast<size_t>(-1);
}

MarkupParser::MarkupParser(const Markup& markup, std::vector<Thinking> thinking, const Beginning& beginning,
                           const Context& context)
    : markup_(markup),
      thinking_(std::move(thinking)),
      context_(context),
      content_(context.output, Delta::Kind::kContent),
      reasoning_(context.output, Delta::Kind::kReasoning),
      calls_(context.tools, context.ids, context.output, content_, reasoning_),
      wrapper_(kNoWrapper) {
  build_marks(context.markers);
  if (context.reads_calls) build_call_marks(context.markers);
  begin_at(beginning);
}

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
  const auto implied =
      std::find_if(thinking_.begin(), thinking_.end(), [](const Thinking& one) { return one.implied; });
  if (beginning.reasoning == Reasoning::kOpen) {
    open_ = beginning.thinking;
    at_ = At::kInside;
  } else if (beginning.reasoning == Reasoning::kMay && implied != thinking_.end()) {
    open_ = static_cast<size_t>(implied - thinking_.begin());
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

void MarkupParser::read(Input& in) {
  if (at_ == At::kCall) in.hold(call_begin_);
  while (step(in)) {
  }
  if (in.ended()) finish();
}

bool MarkupParser::step(Input& in) {
  if (in.empty() && at_ == At::kQuoted && in.ended()) {
    settle_quoted(in);
    return true;
  }
  if (in.empty() && (at_ != At::kCall || !in.ended())) return false;
  switch (at_) {
    case At::kInside:
      return inside(in);
    case At::kStart:
      return start(in);
    case At::kReasoning:
      return reasoning(in);
    case At::kQuoted:
      return quoted(in);
    case At::kContent:
      return content(in);
    case At::kSection:
      return section(in);
    case At::kCall:
      return call(in);
    case At::kBehindCall:
      return behind_call(in);
  }
  return false;
}

// The prompt has opened the reasoning; models write the marker once more.
bool MarkupParser::inside(Input& in) {
  const size_t begin = in.position();
  in.skip_space();
  if (!context_.separates_reasoning) content_.text(in.slice(begin, in.position()));
  if (in.empty()) return true;
  const int found = in.match(opens_[open_]);
  if (found == Literals::kMore) return false;
  if (found >= 0) {
    open_reasoning(open_, opens_[open_].text(found));
  } else {
    open_reasoning(open_, {});
  }
  return true;
}

// The first of the answer, or of what follows the reasoning: spaces, then a marker or none.
bool MarkupParser::start(Input& in) {
  const size_t begin = in.position();
  in.skip_space();
  lead_ += in.slice(begin, in.position());
  if (in.empty()) return true;
  const int found = in.match(start_.literals);
  if (found == Literals::kMore) return false;
  const std::string lead = std::exchange(lead_, {});
  if (found == Literals::kNone) {
    content_.text(lead);
    begin_content(in);
    return true;
  }
  const Meaning meaning = start_.meanings[static_cast<size_t>(found)];
  const std::string_view text = start_.literals.text(found);
  if (meaning.first == Mark::kOpensThinking && closed_) {  // a second one is content
    content_.text(lead);
    content_.text(text);
    at_ = At::kContent;
    began_ = true;
  } else {
    if (!context_.separates_reasoning) content_.text(lead);
    meet(in, meaning, text);
  }
  return true;
}

void MarkupParser::begin_content(Input& in) {
  resume_ = at_ = At::kContent;
  const bool first = !std::exchange(began_, true);
  if (!first || markup_.bare == nullptr || !context_.reads_bare_calls) return;
  if (markup_.bare_begins.find(in.peek()) == std::string_view::npos) return;
  begin_call(in, markup_.bare, Where::kIfOffered, 0);
}

bool MarkupParser::reasoning(Input& in) {
  Marks& marks = reasoning_marks_[open_];
  int found;
  reasoning_text(in.take_until(marks.literals, &found));
  if (found == Literals::kMore) return false;
  if (found == Literals::kNone) return true;
  const Meaning meaning = marks.meanings[static_cast<size_t>(found)];
  const std::string_view text = marks.literals.text(found);
  if (meaning.first == Mark::kClosesThinking) {
    close_reasoning(text);
  } else if (settles_) {
    reasoning_text(text);
  } else if (thinking_[open_].holds_calls) {
    resume_ = At::kReasoning;
    meet(in, meaning, text);
  } else {
    quote_begin_ = in.position() - text.size();
    in.hold(quote_begin_);
    at_ = At::kQuoted;
  }
  return true;
}

// Behind a call's marker inside reasoning. If the reasoning is closed later, the call was only quoted.
bool MarkupParser::quoted(Input& in) {
  int found;
  in.take_until(closes_[open_], &found);
  if (found == Literals::kMore) return false;
  if (found == Literals::kNone) return true;
  const std::string_view text = closes_[open_].text(found);
  reasoning_text(in.slice(quote_begin_, in.position() - text.size()));
  in.release();
  close_reasoning(text);
  return true;
}

// The answer ended inside reasoning, behind a call's marker: if it ends with whole calls, the model has forgotten to
// close the reasoning.
void MarkupParser::settle_quoted(Input& in) {
  const size_t end = in.position();
  const TextChannel before = reasoning_;
  Output& output = context_.output;
  settles_ = true;
  content_ = TextChannel(output, Delta::Kind::kContent);
  output.wait();
  in.rewind(quote_begin_);
  resume_ = at_ = At::kContent;
  while (step(in)) {
  }
  content_.finish();
  std::vector<Delta> deltas = output.discard();
  const auto last = std::find_if(deltas.rbegin(), deltas.rend(), [](const Delta& delta) {
    return delta.kind == Delta::Kind::kCallEnd || delta.kind == Delta::Kind::kContent;
  });
  const bool calls = last != deltas.rend() && last->kind == Delta::Kind::kCallEnd && last->complete;
  reasoning_ = before;
  if (calls && in.ending() == Ending::kStop) {
    for (const Delta& delta : deltas) {
      if (delta.kind == Delta::Kind::kContent) {
        reasoning_text(delta.text);
        continue;
      }
      if (delta.kind == Delta::Kind::kCallBegin) reasoning_.trim();
      output.add(delta);
    }
  } else {
    in.rewind(end);
    reasoning_text(in.slice(quote_begin_, end));
  }
  at_ = At::kReasoning;
}

bool MarkupParser::content(Input& in) {
  int found;
  content_.text(in.take_until(content_marks_.literals, &found));
  if (found == Literals::kMore) return false;
  if (found == Literals::kNone) return true;
  resume_ = At::kContent;
  meet(in, content_marks_.meanings[static_cast<size_t>(found)], content_marks_.literals.text(found));
  return true;
}

void MarkupParser::meet(Input& in, Meaning meaning, std::string_view text) {
  const auto [mark, index] = meaning;
  switch (mark) {
    case Mark::kOpensThinking:
      return open_reasoning(index, text);
    case Mark::kClosesThinking:  // without any reasoning before it
      return close_reasoning(text);
    case Mark::kSection:
      in_section_ = true;
      at_ = At::kSection;
      return;
    case Mark::kOpener:
      return begin_call(in, markup_.openers[index].make, markup_.openers[index].where, text.size());
    case Mark::kCloser:
      junk_ = false;
      if (at_ == At::kBehindCall) return;
      if (!std::exchange(closer_due_, false)) return content_.text(text);
      content_.trim();
      return;
    case Mark::kDropped:
      return;
    case Mark::kOpensWrapper:
      if (!markup_.wrappers[index].closes.empty()) wrapper_ = index;
      content_.trim();
      if (at_ == At::kBehindCall) at_ = At::kContent;
      return;
    case Mark::kClosesWrapper:
      if (wrapper_ != index) return content_.text(text);
      wrapper_ = kNoWrapper;
      content_.trim();
      return;
  }
}

void MarkupParser::open_reasoning(size_t index, std::string_view passed) {
  open_ = index;
  at_ = At::kReasoning;
  if (!context_.separates_reasoning) return content_.text(passed);
  content_.trim();
  reasoning_.trim();
}

void MarkupParser::close_reasoning(std::string_view passed) {
  closed_ = true;
  at_ = At::kStart;
  if (!context_.separates_reasoning) return content_.text(passed);
  content_.trim();
  reasoning_.trim();
}

bool MarkupParser::section(Input& in) {
  in.skip_space();
  if (in.empty()) return true;
  const int found = in.match(section_marks_.literals);
  if (found == Literals::kMore) return false;
  if (found >= 0) {
    meet(in, section_marks_.meanings[static_cast<size_t>(found)], section_marks_.literals.text(found));
  } else if (markup_.section_body != nullptr && (in.peek() == '{' || in.peek() == '[')) {
    begin_call(in, markup_.section_body, Where::kAnywhere, 0);
  } else {
    calls_.problem("no call follows the marker of calls");
    in_section_ = false;
    at_ = resume_;
  }
  return true;
}

void MarkupParser::begin_call(Input& in, MakeReader make, Where where, size_t marker_bytes) {
  call_body_ = in.position();
  call_begin_ = call_body_ - marker_bytes;
  in.hold(call_begin_);
  reader_ = make(context_.markers);
  whole_only_ = where == Where::kIfWhole && !in_section_;
  inferred_ = whole_only_ || where == Where::kIfOffered;
  began_ = true;
  calls_.expect(inferred_ ? Calls::Evidence::kInference : Calls::Evidence::kMarker);
  if (whole_only_) context_.output.wait();
  at_ = At::kCall;
}

bool MarkupParser::call(Input& in) {
  const Step step = reader_->read(in, calls_);
  if (step == Step::kMore) {
    CHECK(!in.ended());
    return false;
  }
  if (step == Step::kFailed || (whole_only_ && !context_.output.whole())) {
    fail_call(in);
  } else {
    if (whole_only_) context_.output.commit();
    junk_ = true;
    at_ = step == Step::kText ? resume_ : At::kBehindCall;
  }
  reader_.reset();
  if (at_ != At::kCall) in.release();
  return true;
}

void MarkupParser::fail_call(Input& in) {
  const bool begun = calls_.begun();
  in_section_ = false;
  at_ = resume_;
  if (whole_only_) {
    context_.output.discard();
  } else if (begun) {
    calls_.fail();
    if (in.finished()) return;  // the rest of the call is missing; what there is was sent
  } else {
    calls_.problem("what follows the marker of a call is none");
  }
  closer_due_ = !inferred_;
  TextChannel& channel = resume_ == At::kReasoning && context_.separates_reasoning ? reasoning_ : content_;
  if (inferred_) channel.text(in.slice(call_begin_, call_body_));
  // Other calls may stand in what this one has swallowed. Text is read again in proportion to what was read.
  const size_t end = in.position(), again = end - call_body_;
  if (read_again_ + again <= end) {
    read_again_ += again;
    in.rewind(call_body_);
    if (!inferred_) in.skip_space();
  } else {
    const std::string_view text = in.slice(call_body_, end);
    channel.text(inferred_ ? text : trimmed(text));
  }
}

bool MarkupParser::behind_call(Input& in) {
  in.skip_space();
  if (in.empty()) return true;
  const int found = in.match(behind_.literals);
  if (found == Literals::kMore) return false;
  if (found >= 0) {
    meet(in, behind_.meanings[static_cast<size_t>(found)], behind_.literals.text(found));
  } else if (junk_ && std::string_view("]})").find(in.peek()) != std::string_view::npos) {
    in.skip(1);
  } else {
    in_section_ = false;
    at_ = resume_;
  }
  return true;
}

// What is still held back.
void MarkupParser::finish() {
  if (at_ == At::kSection) calls_.problem("no call follows the marker of calls");
  content_.text(std::exchange(lead_, {}));
  reasoning_.finish();
  content_.finish();
}

}  // namespace hearth::chat
