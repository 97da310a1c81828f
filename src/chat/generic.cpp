#include "chat/generic.h"

#include "chat/exact_json.h"
#include "chat/json_calls.h"
#include "chat/json_scanner.h"
#include "text/utf8.h"

namespace hearth::chat {
namespace {

uint32_t code_unit(std::string_view escape) {  // \uXXXX
  return static_cast<uint32_t>(std::stoul(std::string(escape.substr(2, 4)), nullptr, 16));
}

// The text that whole characters and escape sequences of a JSON string stand for. Half a surrogate pair becomes U+FFFD.
void append_unescaped(std::string_view json, std::string* out) {
  while (!json.empty()) {
    if (json[0] != '\\') {
      out->push_back(json[0]);
      json.remove_prefix(1);
      continue;
    }
    constexpr std::string_view kKinds = "bfnrt";
    constexpr std::string_view kMeant = "\b\f\n\r\t";
    if (json[1] != 'u') {
      const size_t known = kKinds.find(json[1]);
      out->push_back(known == std::string_view::npos ? json[1] : kMeant[known]);
      json.remove_prefix(2);
      continue;
    }
    uint32_t code = code_unit(json);
    json.remove_prefix(6);
    const bool high = code >= 0xD800 && code < 0xDC00;
    if (high && json.starts_with("\\u")) {
      if (const uint32_t low = code_unit(json); low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        json.remove_prefix(6);
      }
    }
    text::append_utf8(code >= 0xD800 && code < 0xE000 ? text::kReplacement : code, out);
  }
}

class GenericAnswer : public CallReader {
 public:
  explicit GenericAnswer(const Markers& markers)
      : begins_(markers.literals({"{"})),
        keys_(markers.literals({"\"tool_call\"", "\"tool_calls\"", "\"response\""})) {}

  ReadResult read(Input& in, Calls& calls) override {
    for (;;) {
      if (at_ != At::kText && at_ != At::kCalls) in.skip_space();
      if (in.empty() && !in.ended()) return ReadResult::kMore;
      if (at_ == At::kText) return text(in, calls);
      if (at_ == At::kCalls) return calls_.read(in, calls);
      if (in.empty()) return ReadResult::kFailed;
      const int found =
          at_ == At::kColon ? (in.peek() == ':' ? 0 : Literals::kNone) : in.match(at_ == At::kBegin ? begins_ : keys_);
      if (found == Literals::kMore) return ReadResult::kMore;
      if (found == Literals::kNone) return ReadResult::kFailed;
      next(in, found);
    }
  }

 private:
  enum class At { kBegin, kKey, kColon, kText, kCalls };

  void next(Input& in, int found) {
    if (at_ == At::kBegin) {
      at_ = At::kKey;
    } else if (at_ == At::kKey) {
      response_ = keys_.text(found) == "\"response\"";
      at_ = At::kColon;
    } else {
      in.skip(1);
      in.skip_space();
      at_ = response_ ? At::kText : At::kCalls;
    }
  }

  // Shown as it comes, so that what follows can no longer make it something else.
  ReadResult text(Input& in, Calls& calls) {
    std::string out;
    ReadResult result = in.ended() ? ReadResult::kDone : ReadResult::kMore;
    while (!in.empty()) {
      std::string certain;
      if (!open_ && is_space(in.peek())) {
        in.skip(1);
        continue;
      }
      if (!open_ && in.peek() != '"') return ReadResult::kFailed;
      if (!open_) calls.trim_content();
      const JsonScanner::State state = scanner_.feed(in.peek(), &certain);
      if (state == JsonScanner::State::kInvalid) {
        result = ReadResult::kText;
        break;
      }
      in.skip(1);
      if (state == JsonScanner::State::kDone) {
        result = ReadResult::kDone;
        certain.pop_back();  // the closing quote
      }
      append_unescaped(std::exchange(open_, true) ? std::string_view(certain) : std::string_view(), &out);
      if (state == JsonScanner::State::kDone) break;
    }
    calls.content(out);
    return result;
  }

  const Literals begins_, keys_;
  At at_ = At::kBegin;
  bool response_ = false, open_ = false;
  JsonScanner scanner_;
  JsonCalls calls_;
};

}  // namespace

std::string generic_instruction(std::span<const Tool> tools) {
  std::string out =
      "You can call tools. These are the tools, one JSON object per line, each with the JSON schema of its "
      "arguments:\n";
  for (const Tool& tool : tools) out += serialize_exact(to_json(tool)) + "\n";
  out +=
      "Answer with exactly one JSON object and nothing around it. To call a tool: {\"tool_call\": {\"name\": NAME, "
      "\"arguments\": {...}}}; to call several at once: {\"tool_calls\": [{\"name\": NAME, \"arguments\": {...}}, "
      "...]}; to "
      "answer without a tool: {\"response\": \"your answer\"}.";
  return out;
}

const Markup& generic_markup() {
  static const Markup markup{.bare = [](const Markers& markers) -> std::unique_ptr<CallReader> {
                               return std::make_unique<GenericAnswer>(markers);
                             },
                             .bare_begins = "{"};
  return markup;
}

}  // namespace hearth::chat
