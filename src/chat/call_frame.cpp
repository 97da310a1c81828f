#include "chat/call_frame.h"

#include <algorithm>
#include <cctype>

#include "chat/call_shapes.h"
#include "chat/input.h"

namespace hearth::chat {
namespace {

using grammar::CallFrame;

// The family's mark with which a call begins; empty if it has none there.
std::string_view mark_at(std::string_view text, const Markup& markup) {
  std::string_view found;
  const auto consider = [&](std::string_view mark) {
    if (mark.size() > found.size() && text.starts_with(mark)) found = mark;
  };
  for (const std::string_view section : markup.sections) consider(section);
  for (const Opener& opener : markup.openers) consider(opener.text);
  return found;
}

struct Parts {
  std::string_view before_name, before_arguments, after_arguments;
  std::string_view gap;  // behind the first call's arguments, up to the second one's name
};

std::optional<Parts> find_parts(std::string_view one, std::string_view pair) {
  const auto parts_of = [](std::string_view text, std::string_view key, std::string_view value,
                           std::string_view name) -> std::optional<Range> {
    const size_t at = text.find(name);
    if (at == std::string_view::npos) return std::nullopt;
    return find_json(text, at + name.size(), key, value);
  };
  const auto arguments = parts_of(one, sample::kKey, sample::kValue, sample::kTool);
  if (!arguments) return std::nullopt;
  const size_t name = one.find(sample::kTool), name_end = name + sample::kTool.size();
  Parts parts{.before_name = one.substr(0, name),
              .before_arguments = one.substr(name_end, arguments->begin - name_end),
              .after_arguments = one.substr(arguments->end),
              .gap = {}};
  const auto first = parts_of(pair, sample::kKey, sample::kValue, sample::kTool);
  const size_t second = first ? pair.find(sample::kSecondTool, first->end) : std::string_view::npos;
  if (second != std::string_view::npos) parts.gap = pair.substr(first->end, second - first->end);
  return parts;
}

// The frame's texts around calls.
std::string written(const CallFrame& frame, const std::vector<ToolCall>& calls) {
  std::string out = frame.opens;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (i > 0) out += frame.between;
    out += frame.before_name + calls[i].name + frame.before_arguments + calls[i].arguments + frame.after_arguments;
  }
  return out + frame.closes;
}

std::string filled(std::string text) {
  for (size_t at; (at = text.find(CallFrame::kNine)) != std::string::npos;) text.replace(at, 1, "abcdefgh1");
  for (size_t at; (at = text.find(CallFrame::kNumber)) != std::string::npos;) text.replace(at, 1, "0");
  return text;
}

// Numbers that stand alone, which may count calls, as their placeholder.
std::string without_numbers(std::string_view text) {
  const auto is_word = [&](size_t at) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_');
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    const bool alone = end > at && !is_word(end) && !(at > 0 && is_word(at - 1));
    if (alone) {
      out += CallFrame::kNumber;
    } else {
      end = std::max(end, at + 1);
      out += text.substr(at, end - at);
    }
    at = end;
  }
  return out;
}

CallFrame frame_of(const Parts& parts) {
  const Frame around = split(parts.before_name, parts.gap, parts.after_arguments);
  CallFrame frame;
  frame.opens = around.section;
  frame.before_name = around.open;
  frame.before_arguments = parts.before_arguments;
  frame.after_arguments = around.close;
  frame.between = around.between;
  frame.closes = around.section_close;
  return frame;
}

// In texts of one call and of two.
std::optional<CallFrame> find_frame(const std::string& one, const std::string& pair) {
  const auto parts = find_parts(one, pair);
  if (!parts) return std::nullopt;
  CallFrame frame = frame_of(*parts);
  const bool right = written(frame, one_call().calls) == one &&
                     (parts->gap.empty() ? pair.empty() : written(frame, two_calls().calls) == pair);
  if (!right) return std::nullopt;
  frame.json_name = frame.before_name.ends_with('"') && find_json(one, 0, sample::kTool, sample::kValue).has_value();
  return frame;
}

}  // namespace

std::optional<CallFrame> find_call_frame(const Samples& samples, const Capabilities& can, const Format& format,
                                         std::span<const SpecialToken> vocabulary) {
  const auto body = [&](const Message& message) {
    std::string text = without_thoughts(samples.body(message).value_or(""), format.thinking);
    text.erase(0, std::min(text.find_first_not_of(kSpace), text.size()));  // behind other text there may be more
    return without_ids(std::move(text), CallFrame::kNine);
  };
  const std::string one = body(one_call()), pair = can.parallel_calls ? body(two_calls()) : "";
  const bool has_ids = one.find(CallFrame::kNine) != std::string::npos;
  if (has_ids && !can.form.nine_character_ids) return std::nullopt;  // whatever an id is here
  std::optional<CallFrame> frame = find_frame(without_numbers(one), without_numbers(pair));
  if (!frame) return std::nullopt;

  const std::string whole = frame->opens + frame->before_name;
  frame->trigger = mark_at(whole, format.family->markup);
  frame->triggers_first = frame->trigger.empty();
  if (frame->triggers_first) frame->trigger = whole;
  if (whole.empty() || (frame->triggers_first && format.family->markup.bare == nullptr)) return std::nullopt;
  for (const Message& answer : {one_call(), two_calls()}) {
    if (answer.calls.size() > 1 && pair.empty()) continue;
    const Message read = read_sample(format, filled(written(*frame, answer.calls)), vocabulary);
    if (!same_calls(read.calls, answer.calls) || !read.content.empty()) return std::nullopt;
  }
  return frame;
}

const CallFrame& generic_call_frame() {
  static const CallFrame frame = [] {
    CallFrame calls;
    calls.opens = R"({"tool_calls": [)";
    calls.trigger = calls.opens;
    calls.triggers_first = true;
    calls.before_name = R"({"name": ")";
    calls.before_arguments = R"(", "arguments": )";
    calls.after_arguments = "}";
    calls.between = ", ";
    calls.closes = "]}";
    calls.json_name = true;
    return calls;
  }();
  return frame;
}

std::string find_call_opening(const Samples& samples, const Format& format) {
  const std::string one = without_thoughts(samples.body(one_call()).value_or(""), format.thinking);
  std::string head = one.substr(0, one.find(sample::kTool));
  head.erase(0, std::min(head.find_first_not_of(kSpace), head.size()));
  const Markup& markup = format.family->markup;
  const auto ends_head = [&](const Opener& opener) { return head.ends_with(opener.text); };
  if (head.find(sample::kId) == std::string::npos && std::ranges::any_of(markup.openers, ends_head)) return head;
  // The template does not tell: the family's first mark.
  if (markup.openers.empty() || markup.openers[0].where == Opener::Where::kIfWhole) return {};
  const bool in_section = markup.openers[0].where == Opener::Where::kInSection && !markup.sections.empty();
  return std::string(in_section ? markup.sections[0] : "") + std::string(markup.openers[0].text);
}

}  // namespace hearth::chat
