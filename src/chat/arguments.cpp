#include "chat/arguments.h"

namespace hearth::chat {

Step ArgumentsReader::begin(Input& in) {
  in.skip_space();
  if (in.empty() && !in.ended()) return Step::kMore;
  switch (in.empty() ? '\0' : in.peek()) {
    case '{':
      form_ = Form::kObject;
      return Step::kDone;
    case '[':
      if (in_list_) break;
      in_list_ = true;
      list_begin_ = in.position();
      in.skip(1);
      return begin(in);
    case '"':
      form_ = Form::kText;
      return Step::kDone;
    case 'n':
      form_ = Form::kNull;
      return Step::kDone;
    default:
      break;
  }
  if (in_list_) in.rewind(list_begin_);
  return Step::kFailed;
}

Step ArgumentsReader::read(Input& in, std::string* out) {
  if (form_ == Form::kUnknown) {
    if (const Step step = begin(in); step != Step::kDone) return step;
  }
  if (form_ == Form::kObject) return scan(in, out);
  const Step step = scan(in, &held_);
  return step == Step::kDone ? unwrap(out) : step;
}

Step ArgumentsReader::scan(Input& in, std::string* out) {
  while (!in.empty()) {
    const JsonScanner::State state = scanner_.feed(in.peek(), out);
    if (state == JsonScanner::State::kInvalid) return Step::kFailed;
    in.skip(1);
    if (state == JsonScanner::State::kDone) return Step::kDone;
  }
  return in.ended() ? Step::kFailed : Step::kMore;
}

Step ArgumentsReader::unwrap(std::string* out) {
  std::string inner;
  if (form_ == Form::kText) {
    boost::system::error_code failed;
    const boost::json::value text = boost::json::parse(held_, failed);
    if (failed || !text.is_string()) return Step::kFailed;
    inner = trimmed(std::string_view(text.get_string()));
  }
  if (inner.empty()) inner = "{}";
  if (inner[0] != '{' || !as_json(inner)) return Step::kFailed;
  scanner_ = {};  // once more, for the repairs and the keys
  for (const char c : inner) scanner_.feed(c, out);
  return Step::kDone;
}

}  // namespace hearth::chat
