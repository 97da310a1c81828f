#include "chat/python_calls.h"

#include "chat/json_scanner.h"

namespace hearth::chat {
namespace {

bool in_name(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '.' ||
         c == '-' || c == ':' || c == '/';
}

bool in_key(char c) {
  return in_name(c) && c != '.' && c != '-' && c != ':' && c != '/';
}

}  // namespace

ReadResult PythonCalls::read(Input& in, Calls& calls) {
  for (;;) {
    if (at_ != At::kName && at_ != At::kKey && at_ != At::kValue) in.skip_space();
    if (in.empty() && !in.ended()) return ReadResult::kMore;
    if (in.empty() && at_ == At::kAfter) {  // only the bracket is missing
      calls.end_early(in.ending(), calls.first_key() ? "{}" : "}");
      return ReadResult::kDone;
    }
    if (in.empty() && at_ == At::kBefore && calls_ > 0) return ReadResult::kDone;
    if (in.empty() && at_ != At::kValue) return ReadResult::kFailed;
    if (const ReadResult result = next(in, calls); result != ReadResult::kText) return result;
  }
}

// kText: go on.
ReadResult PythonCalls::next(Input& in, Calls& calls) {
  switch (at_) {
    case At::kBefore:
      return before(in);
    case At::kName:
      return name(in, calls);
    case At::kArgument:
      return argument(in, calls);
    case At::kKey:
      return key(in);
    case At::kEquals:
      return equals(in, calls);
    case At::kValue:
      return value(in, calls);
    case At::kAfter:
      return after(in, calls);
  }
  return ReadResult::kFailed;
}

ReadResult PythonCalls::before(Input& in) {
  const char c = in.peek();
  if (in_name(c)) {
    word_.clear();
    at_ = At::kName;
    return ReadResult::kText;
  }
  if (c == '[' && calls_ == 0 && !in_list_) {
    in_list_ = true;
  } else if (calls_ == 0 || (c != ',' && c != ';')) {
    if (c == ']' && in_list_) in.skip(1);
    return calls_ > 0 || (c == ']' && in_list_) ? ReadResult::kDone : ReadResult::kFailed;
  }
  in.skip(1);
  return ReadResult::kText;
}

ReadResult PythonCalls::name(Input& in, Calls& calls) {
  while (!in.empty() && in_name(in.peek()) && word_.size() <= kMaxNameBytes) {
    word_ += in.peek();
    in.skip(1);
  }
  if (in.empty()) return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
  if (in.peek() != '(') return ReadResult::kFailed;
  std::string_view called = word_;
  constexpr std::string_view kMethod = ".call";  // Llama's built-in tools
  if (called.ends_with(kMethod)) called.remove_suffix(kMethod.size());
  if (!calls.begin(called)) return ReadResult::kFailed;
  in.skip(1);
  positional_ = 0;
  at_ = At::kArgument;
  return ReadResult::kText;
}

ReadResult PythonCalls::argument(Input& in, Calls& calls) {
  if (in.peek() == ')') {
    in.skip(1);
    end(calls);
    return ReadResult::kText;
  }
  argument_begin_ = in.position();
  word_.clear();
  at_ = At::kKey;
  return ReadResult::kText;
}

ReadResult PythonCalls::key(Input& in) {
  while (!in.empty() && in_key(in.peek()) && word_.size() <= kMaxNameBytes) {
    word_ += in.peek();
    in.skip(1);
  }
  if (in.empty() && !in.ended()) return ReadResult::kMore;
  at_ = At::kEquals;
  return ReadResult::kText;
}

ReadResult PythonCalls::equals(Input& in, Calls& calls) {
  if (in.peek() == '=' && !word_.empty()) {
    in.skip(1);
    begin_value(calls, word_);
    return ReadResult::kText;
  }
  in.rewind(argument_begin_);  // a value without a name
  const OfferedTool* tool = calls.tool();
  const size_t i = positional_++;
  begin_value(calls,
              tool != nullptr && i < tool->parameters.size() ? tool->parameters[i].name : "arg" + std::to_string(i));
  return ReadResult::kText;
}

void PythonCalls::begin_value(Calls& calls, std::string_view key) {
  std::string out = calls.first_key() ? "{\"" : ", \"";
  append_escaped(key, &out);
  repeated_ = !calls.take_key(key);
  if (!repeated_) calls.arguments(out + "\": ");
  value_.restart();
  at_ = At::kValue;
}

ReadResult PythonCalls::value(Input& in, Calls& calls) {
  std::string out;
  const ReadResult result = value_.read(in, &out);
  if (!repeated_) calls.arguments(out);
  if (result != ReadResult::kDone) return result;
  at_ = At::kAfter;
  return ReadResult::kText;
}

ReadResult PythonCalls::after(Input& in, Calls& calls) {
  const char c = in.peek();
  if (c != ',' && c != ')') return ReadResult::kFailed;
  in.skip(1);
  at_ = At::kArgument;
  if (c == ')') end(calls);
  return ReadResult::kText;
}

void PythonCalls::end(Calls& calls) {
  calls.arguments(calls.first_key() ? "{}" : "}");
  calls.end();
  ++calls_;
  at_ = At::kBefore;
}

}  // namespace hearth::chat
