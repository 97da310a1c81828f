// The calls in an answer: sections, single calls, what is between them, and what looked like one and is none.
#include <string_view>

#include "base/check.h"
#include "chat/markup_parser.h"

namespace hearth::chat {

using Where = Opener::Where;

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

void MarkupParser::begin_call(Input& in, const MakeReader& make, Where where, size_t marker_bytes) {
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
  const ReadResult result = reader_->read(in, calls_);
  if (result == ReadResult::kMore) {
    CHECK(!in.ended());
    return false;
  }
  if (result == ReadResult::kFailed || (whole_only_ && !context_.output.whole())) {
    fail_call(in);
  } else {
    if (whole_only_) context_.output.commit();
    junk_ = true;
    at_ = result == ReadResult::kText ? resume_ : At::kBehindCall;
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

}  // namespace hearth::chat
