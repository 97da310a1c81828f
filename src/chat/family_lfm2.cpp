// Liquid LFM2 and LFM2.5: calls in Python, or in JSON; LFM2.5 forgets the markers.
#include "chat/any_calls.h"
#include "chat/family.h"

namespace hearth::chat {
namespace {

Markup markup(MakeReader bare) {
  return {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
          .openers = {{"<|tool_call_start|>", any_calls_or_python}},
          .closers = {"<|tool_call_end|>"},
          .bare = bare,
          .bare_begins = "["};
}

const Family kLfm2{.name = "lfm2",
                   .rank = 71,
                   .marks = {{"<|tool_list_start|>"}},
                   .vocabulary = {{"<|tool_call_start|>", "<|tool_list_start|>"}},
                   .ollama_parsers = {"lfm2", "lfm2-thinking"},
                   .markup = markup(nullptr)};
const Family kLfm25{.name = "lfm2.5", .rank = 72, .marks = {{"List of tools: ["}}, .markup = markup(any_calls)};
const RegisterFamily registered_2(&kLfm2);
const RegisterFamily registered_25(&kLfm25);

}  // namespace
}  // namespace hearth::chat
