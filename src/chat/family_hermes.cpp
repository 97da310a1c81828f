// Hermes 2 and 3 and all whose calls are JSON between <tool_call> tags: Qwen2.5, Qwen3, QwQ, MiMo-VL, EXAONE 4,
// ERNIE 4.5, SmolLM3, Granite 4, Groq-Tool-Use. Qwen2.5-Coder forgets the tags, or writes others: accepted for offered
// tools.
#include "chat/any_calls.h"
#include "chat/family.h"
#include "chat/named_json.h"

namespace hearth::chat {
namespace {

const NamedJsonForm kFunctionTag{.name_ends = {">"}};

const Family kHermes{.name = "hermes",
                     .rank = 220,
                     .marks = {{"<tool_call>"}},
                     .ollama_parsers = {"qwen3", "qwen3-thinking", "qwen3-vl-instruct", "qwen3-vl-thinking"},
                     .call_tokens = {"<tool_call>"},
                     .markup = {.openers = {{"<tool_call>", any_calls},
                                            {"<function_call>", any_calls},
                                            {"<tools>", any_calls, Opener::Where::kIfWhole},
                                            {"```json", any_calls, Opener::Where::kIfWhole},
                                            {"<function=",
                                             [](const Markers& m) -> std::unique_ptr<CallReader> {
                                               return std::make_unique<NamedJson>(kFunctionTag, m);
                                             },
                                             Opener::Where::kIfWhole}},
                                .closers = {"</tool_call>", "</tools>", "</function>", "</function_call>", "```"},
                                .wrappers = {{"<response>", "</response>"}},
                                .bare = any_calls},
                     .stops = {"[|endofturn|]", "<|end_of_sentence|>"}};
const RegisterFamily registered(&kHermes);

}  // namespace
}  // namespace hearth::chat
