// IBM Granite 3. Version 3.2 reasons in prose. Granite 4 is of the family "hermes".
#include "chat/any_calls.h"
#include "chat/family.h"

namespace hearth::chat {
namespace {

const Family kGranite{
    .name = "granite",
    .rank = 141,
    .marks = {{"<|start_of_role|>", "<|tool_call|>"}},
    .vocabulary = {{"<|start_of_role|>"}},
    .markup = {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true},
                            {.opens = "Here is my thought process:", .closes = "Here is my response:", .always = true},
                            {.opens = "Here's my thought process:", .closes = "Here's my response:", .always = true}},
               .openers = {{"<|tool_call|>", any_calls}, {"<tool_call>", any_calls}},
               .closers = {"</tool_call>"},
               .wrappers = {{"<response>", "</response>"}}}};
const RegisterFamily registered(&kGranite);

}  // namespace
}  // namespace hearth::chat
