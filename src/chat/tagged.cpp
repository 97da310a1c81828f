#include "chat/tagged.h"

#include <string>

#include "chat/json_scanner.h"

namespace hearth::chat {
namespace {

std::vector<std::string_view> follow_texts(const TaggedForm& form) {
  std::vector<std::string_view> texts = {form.key_opens, form.closes};
  texts.insert(texts.end(), form.section_closes.begin(), form.section_closes.end());
  std::erase(texts, std::string_view());
  return texts;
}

// In a tag's `F">` or `F" string="true">` what stands before the quote.
std::string_view unquoted(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('"')) text.remove_prefix(1);
  return trimmed(text.substr(0, text.find('"')));
}

}  // namespace

Tagged::Tagged(const TaggedForm& form, const Markers& markers)
    : form_(form),
      markers_(markers),
      name_ends_(markers.literals(form.name_ends)),
      key_ends_(markers.literals({form.key_ends})),
      value_opens_(markers.literals({form.value_opens})),
      follow_(markers.literals(follow_texts(form))),
      value_closes_(markers.literals({form.value_closes, form.value_closes_named})) {}

ReadResult Tagged::read(Input& in, Calls& calls) {
  for (;;) {
    if (at_ == At::kBetween || at_ == At::kValueTag) in.skip_space();
    if (in.empty() && !in.ended()) return ReadResult::kMore;
    if (in.empty() && at_ == At::kBetween) {
      calls.end_early(in.ending(), calls.first_key() ? "{}" : "}");
      return ReadResult::kDone;
    }
    if (const ReadResult result = next(in, calls); result != ReadResult::kText) return result;
  }
}

// kText: go on.
ReadResult Tagged::next(Input& in, Calls& calls) {
  switch (at_) {
    case At::kName:
      return name(in, calls);
    case At::kBetween:
      return between(in, calls);
    case At::kKey:
      return key(in, calls);
    case At::kValueTag:
      return value_tag(in);
    case At::kValue:
      return value(in, calls);
    case At::kClosed:
      return closed(in, calls);
  }
  return ReadResult::kFailed;
}

ReadResult Tagged::name(Input& in, Calls& calls) {
  int found;
  word_ += in.take_until(name_ends_, &found, kMaxNameBytes - word_.size());
  if (found == Literals::kMore) return ReadResult::kMore;
  // Spaces may stand before a bare name.
  const bool early = form_.bare_name && found >= 0 && name_ends_.text(found) == "\n" && trimmed(word_).empty();
  if (early) return ReadResult::kText;
  const bool at_end = found == Literals::kNone && in.finished() && form_.bare_name;
  if (found == Literals::kNone && !at_end) return ReadResult::kFailed;
  if (form_.bare_name && found >= 0) in.rewind(in.position() - name_ends_.text(found).size());
  if (!calls.begin(unquoted(word_))) return ReadResult::kFailed;
  at_ = At::kBetween;
  return ReadResult::kText;
}

ReadResult Tagged::between(Input& in, Calls& calls) {
  const int found = in.match(follow_);
  if (found == Literals::kMore) return ReadResult::kMore;
  if (found == Literals::kNone) return ReadResult::kFailed;
  word_.clear();
  if (follow_.text(found) == form_.key_opens) {
    at_ = At::kKey;
    return ReadResult::kText;
  }
  if (follow_.text(found) != form_.closes) in.rewind(in.position() - follow_.text(found).size());
  calls.arguments(calls.first_key() ? "{}" : "}");
  calls.end();
  return ReadResult::kDone;
}

ReadResult Tagged::key(Input& in, Calls& calls) {
  int found;
  word_ += in.take_until(key_ends_, &found, kMaxNameBytes - word_.size());
  if (found == Literals::kMore) return ReadResult::kMore;
  if (found == Literals::kNone || unquoted(word_).empty()) return ReadResult::kFailed;
  begin_value(word_, calls);
  at_ = form_.value_opens.empty() ? At::kValue : At::kValueTag;
  return ReadResult::kText;
}

void Tagged::begin_value(std::string_view header, Calls& calls) {
  const std::string_view key = unquoted(header);
  std::string out = calls.first_key() ? "{\"" : ", \"";
  append_escaped(key, &out);
  repeated_ = !calls.take_key(key);
  put(out + "\": ", calls);
  const Parameter verbatim{.name = {}, .text = true}, json{.name = {}, .other = true};
  const Parameter* kind = calls.parameter(key);
  if (form_.says_type && header.find("string=\"true\"") != std::string::npos) kind = &verbatim;
  if (form_.json_values) kind = &json;
  if (form_.says_type && header.find("string=\"false\"") != std::string::npos) kind = &json;
  value_.emplace(kind, form_.strips);
  if (form_.value_closes_named.empty()) return;
  value_closes_ = {};
  markers_.add(&value_closes_, std::string(form_.value_closes_named) + std::string(key) + ">");
}

void Tagged::put(std::string_view json, Calls& calls) {
  if (!repeated_) calls.arguments(json);
}

ReadResult Tagged::value_tag(Input& in) {
  const int found = in.match(value_opens_);
  if (found == Literals::kMore) return ReadResult::kMore;
  at_ = At::kValue;
  return ReadResult::kText;
}

ReadResult Tagged::value(Input& in, Calls& calls) {
  int found;
  std::string out;
  value_->text(in.take_until(value_closes_, &found), &out);
  put(out, calls);
  if (found == Literals::kMore) return ReadResult::kMore;
  if (found == Literals::kNone) return ReadResult::kFailed;
  pending_ = value_closes_.text(found);
  at_ = At::kClosed;
  return ReadResult::kText;
}

// Behind a closing tag, which is part of the value unless the format goes on behind it.
ReadResult Tagged::closed(Input& in, Calls& calls) {
  while (!in.empty() && is_space(in.peek())) {
    pending_ += in.peek();
    in.skip(1);
  }
  if (in.empty() && !in.ended()) return ReadResult::kMore;
  const size_t here = in.position();
  const int found = in.empty() ? 0 : in.match(follow_);
  if (found == Literals::kMore) return ReadResult::kMore;
  std::string out;
  if (found == Literals::kNone) {
    value_->text(pending_, &out);
    at_ = At::kValue;
  } else {
    in.rewind(here);
    value_->end(&out);
    at_ = At::kBetween;
  }
  put(out, calls);
  return ReadResult::kText;
}

}  // namespace hearth::chat
