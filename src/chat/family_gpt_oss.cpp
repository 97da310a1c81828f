// OpenAI gpt-oss: see harmony_parser.h.
#include "chat/family.h"

namespace hearth::chat {
namespace {

// As the model writes messages (harmony_parser.h); templates write the recipient before the channel. A call ends the
// answer, since its end mark is one of generation.
const grammar::AnswerFrames& frames() {
  static const grammar::AnswerFrames frames = [] {
    grammar::AnswerFrames out;
    out.reasoning = {.begins = grammar::ReasoningFrame::Begins::kMay,
                     .opens = "<|channel|>analysis<|message|>",
                     .closes = "<|end|><|start|>assistant"};
    out.text_opens = "<|channel|>final<|message|>";
    out.calls.before_name = out.calls.trigger = "<|channel|>commentary to=functions.";
    out.calls.before_arguments = " <|constrain|>json<|message|>";
    return out;
  }();
  return frames;
}

const Family kGptOss{.name = "gpt-oss",
                     .rank = 20,
                     .marks = {{"<|channel|>"}},
                     .vocabulary = {{"<|start|>", "<|channel|>"}},
                     .ollama_parsers = {"harmony"},
                     .stops = {"<|return|>", "<|call|>"},
                     .frames = frames,
                     .harmony = true};
const RegisterFamily registered(&kGptOss);

}  // namespace
}  // namespace hearth::chat
