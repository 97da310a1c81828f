#include "chat/harmony_parser.h"

#include <algorithm>

namespace hearth::chat {
namespace {

// In the order of HarmonyParser::Mark.
constexpr std::string_view kMarks[] = {"<|start|>", "<|channel|>", "<|message|>", "<|constrain|>",
                                       "<|end|>",   "<|return|>",  "<|call|>"};
// A header is short; what is longer is the text of a model that has forgotten to write one.
constexpr size_t kMaxHeaderBytes = 512;

constexpr std::string_view kFunctions = "functions.";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string_view first_word(std::string_view text) {
  text = trimmed(text);
  return text.substr(0, static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_letter) - text.begin()));
}

// Behind "to=", up to a space or a bracket; empty if there is none.
std::string_view recipient_in(std::string_view header) {
  constexpr std::string_view kTo = "to=";
  const size_t at = header.find(kTo);
  if (at == std::string_view::npos) return {};
  header.remove_prefix(at + kTo.size());
  return header.substr(0, header.find_first_of(" \t\r\n<"));
}

std::string_view without_word(std::string_view text, std::string_view word) {
  text = trimmed(text);
  if (text.starts_with(word)) text.remove_prefix(word.size());
  return trimmed(text);
}

}  // namespace

HarmonyParser::HarmonyParser(std::string_view prompt_end, const Context& context)
    : context_(context),
      content_(context.output, Delta::Kind::kContent),
      reasoning_(context.output, context.separates_reasoning ? Delta::Kind::kReasoning : Delta::Kind::kContent),
      calls_(context.tools, context.ids, context.output, content_, reasoning_) {
  marks_ = Markers().literals(kMarks);  // in a prompt, all are text
  constexpr std::string_view kBegin = "<|start|>";
  const size_t begin = prompt_end.rfind(kBegin);
  if (begin != std::string_view::npos) prompt_end.remove_prefix(begin + kBegin.size());
  begin_header(true);
  Input prompt;
  prompt.add_text(begin == std::string_view::npos ? "assistant" : prompt_end);
  while (!prompt.empty() && step(prompt)) {
  }
  marks_ = context.markers.literals(kMarks);
}

void HarmonyParser::read(Input& in) {
  while (step(in)) {
  }
  if (!in.ended()) return;
  if (at_ == At::kHeader) end_header_without_body();
  content_.finish();
  reasoning_.finish();
}

bool HarmonyParser::step(Input& in) {
  if (in.empty() && (at_ != At::kCall || !in.ended())) return false;
  if (at_ == At::kCall) return call(in);
  return at_ == At::kHeader ? header(in) : body(in);
}

void HarmonyParser::begin_header(bool named) {
  at_ = At::kHeader;
  named_ = named;
  in_channel_ = false;
  role_.clear();
  channel_text_.clear();
}

bool HarmonyParser::header(Input& in) {
  int found;
  std::string& part = in_channel_ ? channel_text_ : role_;
  part += in.take_until(marks_, &found, kMaxHeaderBytes - role_.size() - channel_text_.size());
  if (found == Literals::kMore) return false;
  if (found >= 0) {
    meet(found);
  } else if (!in.empty()) {
    end_header_without_body();
    at_ = At::kContent;
  }
  body_begin_ = in.position();
  return true;
}

void HarmonyParser::meet(int mark) {
  const bool in_header = at_ == At::kHeader;
  switch (mark) {
    case kStart:
      return begin_header(true);
    case kChannel:
      if (!in_header) begin_header(false);
      if (in_channel_) channel_text_ += ' ';  // the first one counts
      in_channel_ = true;
      return;
    case kMessage:
      if (in_header) begin_body();
      return;
    case kConstrain:
      if (in_header) (in_channel_ ? channel_text_ : role_) += ' ';
      return;
    default:
      if (in_header) end_header_without_body();
      return begin_header(false);
  }
}

void HarmonyParser::begin_body() {
  const std::string header = role_ + " " + channel_text_;
  const std::string_view recipient = recipient_in(header);
  const bool function =
      recipient.starts_with(kFunctions) || (!recipient.empty() && calls_.tools().find(recipient) != nullptr);
  const bool to_us = recipient.empty() || recipient == "assistant" || recipient == "user" || recipient == "all";
  at_ = first_word(channel_text_) == "analysis" ? At::kReasoning : At::kContent;
  if (function && context_.reads_calls && calls_.begin(recipient)) {
    arguments_ = {};
    at_ = At::kCall;
  } else if (!to_us && !function) {
    calls_.problem("a message to " + std::string(recipient) + ", which nobody has offered, is left out");
    at_ = At::kIgnored;
  } else {
    channel().trim();
  }
}

// Without <|message|>, what follows the channel's name is the body, or all if there is no channel.
void HarmonyParser::end_header_without_body() {
  const std::string_view name = first_word(channel_text_);
  const std::string_view text = in_channel_ ? without_word(channel_text_, name)
                                : named_    ? without_word(role_, "assistant")
                                            : trimmed(role_);
  at_ = name == "analysis" ? At::kReasoning : At::kContent;
  if (!text.empty() && !text.starts_with("to=")) channel().text(text);
}

bool HarmonyParser::body(Input& in) {
  int found;
  const std::string_view text = in.take_until(marks_, &found);
  if (at_ != At::kIgnored) channel().text(text);
  if (found == Literals::kMore) return false;
  if (found < 0) return true;
  if (at_ != At::kIgnored) channel().trim();
  meet(found);
  body_begin_ = in.position();
  return true;
}

bool HarmonyParser::call(Input& in) {
  in.hold(body_begin_);
  std::string certain;
  ReadResult result = arguments_.read(in, &certain);
  if (result == ReadResult::kMore) {
    calls_.arguments(certain);
    return false;
  }
  if (result == ReadResult::kFailed && arguments_.absent()) {
    const size_t here = in.position();
    const int found = in.empty() ? Literals::kNone : in.match(marks_);
    if (found == Literals::kMore) return false;
    in.rewind(here);
    if (found >= 0 || (in.empty() && in.ending() == Ending::kStop)) {  // the tool takes none
      certain = "{}";
      result = ReadResult::kDone;
    }
  }
  calls_.arguments(certain);
  in.release();
  at_ = At::kIgnored;  // brackets that do not belong there
  if (result == ReadResult::kDone) {
    calls_.end();
    return true;
  }
  calls_.fail();
  if (in.finished()) return true;
  at_ = At::kContent;
  content_.text(in.slice(body_begin_, in.position()));
  return true;
}

}  // namespace hearth::chat
