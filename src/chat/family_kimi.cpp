// Moonshot Kimi K2. The client gets the model's own ids, which number the calls of the whole conversation.
#include "chat/family.h"
#include "chat/named_json.h"

namespace hearth::chat {
namespace {

const NamedJsonForm kForm{.name_ends = {"<|tool_call_argument_begin|>"}, .name_in_id = true};

const Family kKimi{.name = "kimi-k2",
                   .rank = 40,
                   .marks = {{"<|tool_calls_section_begin|>"}},
                   .vocabulary = {{"<|im_middle|>"}},
                   .markup = {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
                              .sections = {"<|tool_calls_section_begin|>"},
                              .openers = {{"<|tool_call_begin|>",
                                           [](const Markers& m) -> std::unique_ptr<CallReader> {
                                             return std::make_unique<NamedJson>(kForm, m);
                                           }}},
                              .closers = {"<|tool_call_end|>", "<|tool_calls_section_end|>"},
                              .dropped = {"<|tool_calls_section_end|>"}}};
const RegisterFamily registered(&kKimi);

}  // namespace
}  // namespace hearth::chat
