#include "chat/arguments.h"

namespace hearth::chat {

ReadResult ArgumentsReader::begin(Input& in) {
  in.skip_space();
  if (in.empty() && !in.ended()) return ReadResult::kMore;
  switch (in.empty() ? '\0' : in.peek()) {
    case '{':
      form_ = Form::kObject;
      return ReadResult::kDone;
    case '[':
      if (in_list_) break;
      in_list_ = true;
      list_begin_ = in.position();
      in.skip(1);
      return begin(in);
    case '"':
      form_ = Form::kText;
      return ReadResult::kDone;
    case 'n':
      form_ = Form::kNull;
      return ReadResult::kDone;
    default:
      break;
  }
  if (in_list_) in.rewind(list_begin_);
  return ReadResult::kFailed;
}

ReadResult ArgumentsReader::read(Input& in, std::string* out) {
  if (form_ == Form::kUnknown) {
    if (const ReadResult result = begin(in); result != ReadResult::kDone) return result;
  }
  if (form_ == Form::kObject) return scan(in, out);
  const ReadResult result = scan(in, &held_);
  return result == ReadResult::kDone ? unwrap(out) : result;
}

ReadResult ArgumentsReader::scan(Input& in, std::string* out) {
  while (!in.empty()) {
    const JsonScanner::State state = scanner_.feed(in.peek(), out);
    if (state == JsonScanner::State::kInvalid) return ReadResult::kFailed;
    in.skip(1);
    if (state == JsonScanner::State::kDone) return ReadResult::kDone;
  }
  return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
}

ReadResult ArgumentsReader::unwrap(std::string* out) {
  std::string inner;
  if (form_ == Form::kText) {
    boost::system::error_code failed;
    const boost::json::value text = boost::json::parse(held_, failed);
    if (failed || !text.is_string()) return ReadResult::kFailed;
    inner = trimmed(std::string_view(text.get_string()));
  }
  if (inner.empty()) inner = "{}";
  if (inner[0] != '{' || !as_json(inner)) return ReadResult::kFailed;
  scanner_ = {};  // once more, for the repairs and the keys
  for (const char c : inner) scanner_.feed(c, out);
  return ReadResult::kDone;
}

}  // namespace hearth::chat
