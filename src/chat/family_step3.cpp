// StepFun Step-3: tagged calls inside markers that are spelled like DeepSeek's.
#include "chat/family.h"
#include "chat/tagged.h"

namespace hearth::chat {
namespace {

const TaggedForm kForm{.name_ends = {">"},
                       .key_opens = "<steptml:parameter name=\"",
                       .key_ends = ">",
                       .value_closes = "</steptml:parameter>",
                       .closes = "</steptml:invoke>"};

const Family kStep3{
    .name = "step3",
    .rank = 115,
    .marks = {{"steptml"}},
    .markup = {
        .thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
        .sections = {"<\uFF5Ctool_calls_begin\uFF5C>", "<\uFF5Ctool_call_begin\uFF5C>function<\uFF5Ctool_sep\uFF5C>"},
        .openers = {{"<steptml:invoke name=\"",
                     [](const Markers& m) -> std::unique_ptr<CallReader> { return std::make_unique<Tagged>(kForm, m); },
                     Opener::Where::kInSection}},
        .closers = {"<\uFF5Ctool_call_end\uFF5C>", "<\uFF5Ctool_calls_end\uFF5C>"}}};
const RegisterFamily registered(&kStep3);

}  // namespace
}  // namespace hearth::chat
