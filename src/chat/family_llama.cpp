// Llama 3.x and 4: calls as JSON, in Python, or with one of the built-in tools, with a marker before them or none.
#include "chat/any_calls.h"
#include "chat/family.h"
#include "chat/named_json.h"
#include "chat/python_calls.h"

namespace hearth::chat {
namespace {

// Behind <|python_tag|>: JSON, a call in Python of an offered tool, or code for the interpreter.
class PythonTag : public CallReader {
 public:
  explicit PythonTag(const Markers& markers) : markers_(markers), any_(markers), no_ends_() {}

  ReadResult read(Input& in, Calls& calls) override {
    for (;;) {
      if (at_ == At::kCalls) return any_.read(in, calls);
      if (at_ == At::kPython) return python_->read(in, calls);
      if (at_ == At::kCode) return read_code(in, no_ends_, calls);
      if (const ReadResult result = choose(in, calls); result != ReadResult::kDone) return result;
    }
  }

 private:
  enum class At { kBegin, kName, kCalls, kPython, kCode };

  ReadResult choose(Input& in, Calls& calls) {
    if (at_ == At::kBegin) {
      in.skip_space();
      if (in.empty()) return in.ended() ? ReadResult::kFailed : ReadResult::kMore;
      begin_ = in.position();
      at_ = in.peek() == '{' || in.peek() == '[' ? At::kCalls : At::kName;
      return ReadResult::kDone;
    }
    while (!in.empty() && in.peek() != '(' && !is_space(in.peek()) && name_.size() < kMaxNameBytes) {
      name_ += in.peek();
      in.skip(1);
    }
    if (in.empty() && !in.ended()) return ReadResult::kMore;
    const bool calls_tool =
        !in.empty() && in.peek() == '(' && calls.tools().find(name_.substr(0, name_.rfind(".call"))) != nullptr;
    in.rewind(begin_);
    if (calls_tool) {
      python_ = std::make_unique<PythonCalls>(markers_);
      at_ = At::kPython;
      return ReadResult::kDone;
    }
    at_ = At::kCode;
    const bool python = calls.tools().find("python") != nullptr;
    return calls.begin(python ? "python" : "code_interpreter") ? ReadResult::kDone : ReadResult::kFailed;
  }

  const Markers& markers_;
  AnyCalls any_;
  const Literals no_ends_;
  At at_ = At::kBegin;
  size_t begin_ = 0;
  std::string name_;
  std::unique_ptr<CallReader> python_;
};

std::unique_ptr<CallReader> python_tag(const Markers& markers) {
  return std::make_unique<PythonTag>(markers);
}

const Family kLlama3{.name = "llama3",
                     .rank = 242,
                     .marks = {{"<|start_header_id|>", ">ipython<"},
                               {"<|start_header_id|>", "\"ipython\""},
                               {"<|start_header_id|>", "'ipython'"}},
                     .vocabulary = {{"<|start_header_id|>"}},
                     .markup = {.openers = {{"<|python_tag|>", python_tag}}, .bare = any_calls}};
const RegisterFamily registered_3(&kLlama3);

const Family kLlama4{.name = "llama4",
                     .rank = 250,
                     .marks = {{"<|header_start|>"}},
                     .vocabulary = {{"<|header_start|>"}},
                     .markup = {.openers = {{"<|python_start|>", python_tag}, {"<|python_tag|>", python_tag}},
                                .closers = {"<|python_end|>"},
                                .bare = any_calls},
                     .stops = {"<|eot|>", "<|eom|>"}};
const RegisterFamily registered_4(&kLlama4);

const NamedJsonForm kFunction{.name_ends = {">"}};

// Functionary 3.1: Llama 3's turns.
const Family kFunctionary31{.name = "functionary-3.1",
                            .rank = 241,
                            .marks = {{"<|start_header_id|>", "<function="}},
                            .markup = {.openers = {{"<function=",
                                                    [](const Markers& m) -> std::unique_ptr<CallReader> {
                                                      return std::make_unique<NamedJson>(kFunction, m);
                                                    }},
                                                   {"<|python_tag|>", python_tag}},
                                       .closers = {"</function>"}}};
const RegisterFamily registered_functionary(&kFunctionary31);

}  // namespace
}  // namespace hearth::chat
