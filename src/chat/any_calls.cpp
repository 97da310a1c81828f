#include "chat/any_calls.h"

#include "chat/python_calls.h"

namespace hearth::chat {

AnyCalls::AnyCalls(const Markers& markers, JsonForm form, bool bare_python)
    : markers_(markers),
      form_(form),
      bare_python_(bare_python),
      fences_(markers.literals({"```json", "```python", "```tool_call", "```"})) {
  PythonCalls asks_for_its_literals(markers);
}

ReadResult AnyCalls::read(Input& in, Calls& calls) {
  if (chosen_ == nullptr) {
    if (const ReadResult result = choose(in); result != ReadResult::kDone) return result;
  }
  return chosen_->read(in, calls);
}

ReadResult AnyCalls::choose(Input& in) {
  if (begin_ == std::string::npos) {
    in.skip_space();
    if (!in.empty()) {
      const int fence = in.match(fences_);
      if (fence == Literals::kMore) return ReadResult::kMore;
      if (fence >= 0) in.skip_space();
    }
    if (in.empty()) return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
    begin_ = in.position();
  }
  const bool list = in.position() > begin_ || in.peek() == '[';
  if (list && in.position() == begin_) in.skip(1);
  if (list) in.skip_space();
  if (in.empty()) return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
  const char c = in.peek();
  if (c == '{') {
    chosen_ = std::make_unique<JsonCalls>(form_);
  } else if (list || bare_python_) {
    chosen_ = std::make_unique<PythonCalls>(markers_);
  } else {
    return ReadResult::kFailed;
  }
  in.rewind(begin_);
  return ReadResult::kDone;
}

std::unique_ptr<CallReader> any_calls(const Markers& markers) {
  return std::make_unique<AnyCalls>(markers);
}

std::unique_ptr<CallReader> any_calls_or_python(const Markers& markers) {
  return std::make_unique<AnyCalls>(markers, JsonForm{}, true);
}

}  // namespace hearth::chat
