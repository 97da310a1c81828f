#include "chat/named_json.h"

#include <algorithm>
#include <utility>

namespace hearth::chat {
namespace {

bool contains(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string_view> asked(const NamedJsonForm& form) {
  std::vector<std::string_view> texts = form.name_ends;
  for (const std::string_view text : {form.name_begins, form.name_stops, form.id_begins}) {
    if (!text.empty()) texts.push_back(text);
  }
  return texts;
}

// "functions.temp:0" -> "temp"; empty if it has no such form.
std::string_view name_in(std::string_view id) {
  const size_t colon = id.rfind(':');
  if (colon == std::string_view::npos) return {};
  id = id.substr(0, colon);
  constexpr std::string_view kFunctions = "functions.";
  return id.starts_with(kFunctions) ? id.substr(kFunctions.size()) : id;
}

}  // namespace

NamedJson::NamedJson(const NamedJsonForm& form, const Markers& markers)
    : form_(form),
      name_ends_(markers.literals(form.name_ends)),
      line_end_(markers.literals({"\n"})),
      fences_(markers.literals({"```json", "```"})),
      code_ends_(markers.literals(form.code_ends)) {
  markers.literals(asked(form));  // they stand inside what is read as the name
}

ReadResult NamedJson::read(Input& in, Calls& calls) {
  for (;;) {
    if (at_ == At::kKind || at_ == At::kFence) in.skip_space();
    if (in.empty() && !in.ended()) return ReadResult::kMore;
    if (at_ == At::kArguments) return arguments(in, calls);
    if (at_ == At::kCode) return read_code(in, code_ends_, calls);
    if (const ReadResult result = next(in, calls); result != ReadResult::kDone) return result;
  }
}

// kDone: go on.
ReadResult NamedJson::next(Input& in, Calls& calls) {
  switch (at_) {
    case At::kName:
      if (const ReadResult result = name(in, name_ends_); result != ReadResult::kDone) return result;
      at_ = form_.kind_first ? At::kKind : At::kFence;
      return form_.kind_first ? ReadResult::kDone : parse_name(calls);
    case At::kKind:
      at_ = At::kFence;
      if (!in.empty() && in.peek() == '{') return begin(calls);
      name_.clear();  // it was the kind
      at_ = At::kSecondName;
      return ReadResult::kDone;
    case At::kSecondName:
      if (const ReadResult result = name(in, line_end_); result != ReadResult::kDone) return result;
      at_ = At::kFence;
      return begin(calls);
    default:  // a fence, or none
      if (!in.empty() && in.match(fences_) == Literals::kMore) return ReadResult::kMore;
      at_ = At::kArguments;
      return ReadResult::kDone;
  }
}

ReadResult NamedJson::name(Input& in, const Literals& ends) {
  int found;
  name_ += in.take_until(ends, &found, kMaxNameBytes - name_.size());
  if (found == Literals::kNone) return ReadResult::kFailed;
  if (found == Literals::kMore) return ReadResult::kMore;
  if (ends.text(found) == "{") in.rewind(in.position() - 1);
  return ReadResult::kDone;
}

// The name, and perhaps an id, in what was read before the arguments.
ReadResult NamedJson::parse_name(Calls& calls) {
  std::string_view text = name_;
  const auto find = [&](std::string_view what) { return what.empty() ? std::string::npos : text.find(what); };
  if (const size_t at = find(form_.name_begins); at != std::string::npos) {
    if (form_.id_first) id_ = trimmed(text.substr(0, at));
    text.remove_prefix(at + form_.name_begins.size());
  }
  if (const size_t at = find(form_.name_stops); at != std::string::npos) text = text.substr(0, at);
  if (const size_t at = find(form_.id_begins); at != std::string::npos) {
    id_ = trimmed(text.substr(at + form_.id_begins.size()));
    text = text.substr(0, at);
  }
  name_ = std::string(trimmed(text));
  if (contains(form_.text_names, name_)) {
    calls.trim_content();
    return ReadResult::kText;
  }
  if (form_.name_in_id) {
    id_ = name_;
    const std::string_view inside = name_in(id_);
    if (!inside.empty()) name_ = std::string(inside);
    infers_ = inside.empty() && calls.tools().find(name_) == nullptr;
  }
  return infers_ ? ReadResult::kDone : begin(calls);
}

ReadResult NamedJson::begin(Calls& calls) {
  if (!calls.begin(name_, id_)) return ReadResult::kFailed;
  if (contains(form_.code_names, name_)) at_ = At::kCode;
  return ReadResult::kDone;
}

ReadResult NamedJson::arguments(Input& in, Calls& calls) {
  ReadResult result = arguments_.read(in, &waiting_);
  // Another marker, or the end, where the arguments should be: there are none.
  const bool left_out =
      in.empty() ? in.ending() == Ending::kStop : std::string_view("<[`>").find(in.peek()) != std::string::npos;
  if (result == ReadResult::kFailed && arguments_.absent() && left_out) {
    waiting_ = "{}";
    result = ReadResult::kDone;
  }
  if (infers_ && result == ReadResult::kDone) {
    infers_ = false;
    const OfferedTool* meant = calls.tools().by_arguments(arguments_.keys());
    if (!calls.begin(meant != nullptr ? meant->name : name_, id_)) return ReadResult::kFailed;
  }
  if (!infers_) calls.arguments(std::exchange(waiting_, {}));
  if (result == ReadResult::kDone) calls.end();
  return result;
}

ReadResult read_code(Input& in, const Literals& ends, Calls& calls) {
  if (calls.take_key("code")) calls.arguments("{\"code\": \"");
  int found;
  std::string code;
  append_escaped(in.take_until(ends, &found), &code);
  calls.arguments(code);
  if (found == Literals::kMore) return ReadResult::kMore;
  if (found >= 0) in.rewind(in.position() - ends.text(found).size());
  if (found == Literals::kNone && in.ending() == Ending::kLength) return ReadResult::kFailed;
  calls.arguments("\"}");
  calls.end();
  return ReadResult::kDone;
}

}  // namespace hearth::chat
