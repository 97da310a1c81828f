// Mistral. Tokenizers from v3 on write [TOOL_CALLS] and a JSON array, from v11 on a name, perhaps an id, and the
// arguments.
#include "chat/family.h"
#include "chat/json_calls.h"
#include "chat/named_json.h"

namespace hearth::chat {
namespace {

const NamedJsonForm kNamed{.name_ends = {"[ARGS]", "{"}, .id_begins = "[CALL_ID]"};

// Which of the two the model has learnt shows in its first character.
class MistralCalls : public CallReader {
 public:
  explicit MistralCalls(const Markers& markers) : markers_(markers) {
    NamedJson asks_for_its_literals(kNamed, markers);
  }
  ReadResult read(Input& in, Calls& calls) override {
    if (chosen_ == nullptr) {
      in.skip_space();
      if (in.empty()) return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
      if (in.peek() == '[' || in.peek() == '{') {
        chosen_ = std::make_unique<JsonCalls>();
      } else {
        chosen_ = std::make_unique<NamedJson>(kNamed, markers_);
      }
    }
    return chosen_->read(in, calls);
  }

 private:
  const Markers& markers_;
  std::unique_ptr<CallReader> chosen_;
};

Family family(const char* name, int rank, std::vector<std::string_view> marks, std::vector<std::string_view> absent) {
  return {.name = name,
          .rank = rank,
          .marks = {std::move(marks)},
          .absent = std::move(absent),
          .markup = {.thinking = {{.opens = "[THINK]", .closes = "[/THINK]"}},
                     .openers = {{"[TOOL_CALLS]",
                                  [](const Markers& m) -> std::unique_ptr<CallReader> {
                                    return std::make_unique<MistralCalls>(m);
                                  }}}},
          .ids = CallIds::Style::kNine};
}

const Family kV11 = family("mistral-v11", 11, {"[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"}, {});
const Family kV13 = [] {
  Family v13 = family("mistral-v13", 12, {"[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]"}, {});
  v13.ollama_parsers = {"ministral"};
  return v13;
}();
const Family kV3 = [] {
  Family v3 = family("mistral-v3", 260, {"[TOOL_CALLS]"}, {});
  v3.vocabulary = {{"[INST]"}};
  v3.call_tokens = {"[TOOL_CALLS]"};
  return v3;
}();
const RegisterFamily registered_v11(&kV11);
const RegisterFamily registered_v13(&kV13);
const RegisterFamily registered_v3(&kV3);

}  // namespace
}  // namespace hearth::chat
