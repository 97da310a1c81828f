#include "chat/markup_parser.h"

#include <algorithm>
#include <utility>

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

// What is still held back.
void MarkupParser::finish() {
  if (at_ == At::kSection) calls_.problem("no call follows the marker of calls");
  content_.text(std::exchange(lead_, {}));
  reasoning_.finish();
  content_.finish();
}

}  // namespace hearth::chat
