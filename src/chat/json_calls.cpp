#include "chat/json_calls.h"

namespace hearth::chat {
namespace {

std::string decoded(std::string_view json_text) {
  boost::system::error_code failed;
  const boost::json::value value = boost::json::parse(json_text, failed);
  return !failed && value.is_string() ? std::string(value.get_string()) : std::string();
}

}  // namespace

ReadResult JsonCalls::read(Input& in, Calls& calls) {
  for (;;) {
    if (at_ == At::kKey || at_ == At::kColon || at_ == At::kValue || at_ == At::kBefore) in.skip_space();
    if (in.empty()) {
      if (!in.ended()) return ReadResult::kMore;
      if (at_ == At::kBefore && objects_ > 0) return ReadResult::kDone;
      if (!whole_) return ReadResult::kFailed;
      end_object(in, calls);  // only brackets around the arguments are missing
      return ReadResult::kDone;
    }
    if (const ReadResult result = next(in, calls); result != ReadResult::kText) return result;
  }
}

// kText: go on.
ReadResult JsonCalls::next(Input& in, Calls& calls) {
  switch (at_) {
    case At::kBefore:
      return before(in);
    case At::kKey:
      return key(in, calls);
    case At::kColon:
      if (in.peek() != ':') return ReadResult::kFailed;
      in.skip(1);
      at_ = At::kValue;
      return ReadResult::kText;
    case At::kValue:
      return value(in);
    case At::kArguments:
      return read_arguments(in, calls);
    default:
      if (const ReadResult result = text(in); result != ReadResult::kDone) return result;
      return end_text(calls);
  }
}

ReadResult JsonCalls::before(Input& in) {
  const char c = in.peek();
  const bool between = objects_ == 0 ? c == '[' : c == ',' || c == ';';
  if (c != '{' && !between) return objects_ > 0 ? ReadResult::kDone : ReadResult::kFailed;
  if (c == '{') {
    begin_ = in.position();
    depth_ = 1;
    name_.clear();
    id_.clear();
    waiting_.clear();
    arguments_ = {};
    has_arguments_ = whole_ = bad_ = false;
    at_ = At::kKey;
  }
  in.skip(1);
  return ReadResult::kText;
}

JsonCalls::Member JsonCalls::member(std::string_view key) const {
  if (key.empty()) return Member::kOther;
  if (key == form_.name_key) return Member::kName;
  if (key == form_.arguments_key) return Member::kArguments;
  if (key == form_.id_key) return Member::kId;
  if (key == "name" || key == "tool_name" || key == "function") return Member::kName;
  if (key == "arguments" || key == "parameters") return Member::kArguments;
  if (key == "id" || key == "tool_call_id" || key == "call_id") return Member::kId;
  return Member::kOther;
}

ReadResult JsonCalls::key(Input& in, Calls& calls) {
  const char c = in.peek();
  if (c == '"') {
    scanner_ = {};
    text_.clear();
    at_ = At::kKeyText;
    return ReadResult::kText;
  }
  if (c != '}' && c != ',') {
    if (!whole_) return ReadResult::kFailed;
    end_object(in, calls);  // something else where the object should end: the call is whole all the same
    return ReadResult::kDone;
  }
  in.skip(1);
  return c == '}' && --depth_ == 0 ? end_object(in, calls) : ReadResult::kText;
}

// A member's name, or a value that is no object of arguments.
ReadResult JsonCalls::text(Input& in) {
  while (!in.empty()) {
    const JsonScanner::State state = scanner_.feed(in.peek(), &text_);
    if (state == JsonScanner::State::kInvalid) return ReadResult::kFailed;
    if (state == JsonScanner::State::kDoneBefore) return ReadResult::kDone;
    in.skip(1);
    if (state == JsonScanner::State::kDone) return ReadResult::kDone;
  }
  return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
}

ReadResult JsonCalls::end_text(Calls& calls) {
  const At was = at_;
  at_ = At::kKey;
  if (was == At::kName) {
    name_ = decoded(text_);
    bad_ |= name_.empty() && !form_.name_is_key;
    // Nothing that was inferred may wait for longer than this.
    if (objects_ == 0 && calls.must_be_offered() && !calls.accepts(name_)) return ReadResult::kFailed;
  } else if (was == At::kId) {
    id_ = decoded(text_);
  } else if (was == At::kKeyText) {
    text_ = decoded(text_);
    member_ = member(text_);
    if (form_.name_is_key && member_ == Member::kOther && name_.empty()) {
      name_ = text_;
      member_ = Member::kArguments;
    }
    const bool known = member_ != Member::kOther || text_ == form_.nested_key || text_ == "type" || text_ == "index" || text_ == "thought";
    if (!known && objects_ == 0 && name_.empty() && calls.must_be_offered()) return ReadResult::kFailed;
    at_ = At::kColon;
  }
  return ReadResult::kText;
}

ReadResult JsonCalls::value(Input& in) {
  scanner_ = {};
  if (text_ == form_.nested_key && in.peek() == '{') {
    in.skip(1);
    ++depth_;
    at_ = At::kKey;
    return ReadResult::kText;
  }
  text_.clear();
  at_ = member_ == Member::kName && name_.empty()          ? At::kName
        : member_ == Member::kId                           ? At::kId
        : member_ == Member::kArguments && !has_arguments_ ? At::kArguments
                                                           : At::kOther;
  return ReadResult::kText;
}

bool JsonCalls::announce(Calls& calls) {
  if (calls.begun()) return true;
  if (bad_ || name_.empty() || name_ == form_.no_call) return false;
  return calls.begin(name_, id_);
}

ReadResult JsonCalls::read_arguments(Input& in, Calls& calls) {
  std::string certain;
  const ReadResult result = arguments_.read(in, &certain);
  if (result == ReadResult::kFailed && arguments_.absent() && !in.empty()) {  // some other value
    bad_ = true;
    at_ = At::kOther;
    return ReadResult::kText;
  }
  has_arguments_ |= !certain.empty();
  if (!certain.empty() && announce(calls)) {
    calls.arguments(certain);
  } else {
    waiting_ += certain;
  }
  if (result == ReadResult::kDone) {
    whole_ = true;
    at_ = At::kKey;
    return ReadResult::kText;
  }
  return result;
}

// Whatever is wrong with one object stays its own fault: it becomes text, and the next one is read.
ReadResult JsonCalls::end_object(Input& in, Calls& calls) {
  ++objects_;
  at_ = At::kBefore;
  const bool enough = has_arguments_ || !calls.must_be_offered();
  if (!calls.begun() && enough && announce(calls)) calls.arguments(has_arguments_ ? waiting_ : "{}");
  whole_ = false;
  if (calls.begun()) {
    calls.end();
  } else if (name_.empty() || name_ != form_.no_call) {
    if (objects_ == 1 && calls.must_be_offered()) return ReadResult::kFailed;
    calls.content(in.slice(begin_, in.position()));
    calls.problem("an object where a call should be is none");
  }
  return ReadResult::kText;
}

}  // namespace hearth::chat
