// Qwen3-Coder, Qwen3.5, Nemotron 3, Step 3.5, MiMo V2: calls as <function=F> with <parameter=K> inside <tool_call>,
// whose opening tag models forget.
#include "chat/any_calls.h"
#include "chat/family.h"
#include "chat/tagged.h"

namespace hearth::chat {
namespace {

const TaggedForm kForm{.name_ends = {">"},
                       .key_opens = "<parameter=",
                       .key_ends = ">",
                       .value_closes = "</parameter>",
                       .closes = "</function>",
                       .section_closes = {"</tool_call>"},
                       .strips = true};

const Family kQwenXml{
    .name = "qwen-xml",
    .rank = 170,
    .marks = {{"<tool_call>", "<function=", "<parameter="}},
    .markup = {
        .sections = {"<tool_call>"},
        .openers = {{"<function=",
                     [](const Markers& m) -> std::unique_ptr<CallReader> { return std::make_unique<Tagged>(kForm, m); },
                     Opener::Where::kIfWhole}},
        .closers = {"</tool_call>", "</function>"},
        .dropped = {"</tool_call>"},
        .section_body = any_calls}};
const RegisterFamily registered(&kQwenXml);

}  // namespace
}  // namespace hearth::chat
