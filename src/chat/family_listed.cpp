// Families that differ in the markers around lists of calls.
#include "chat/any_calls.h"
#include "chat/family.h"

namespace hearth::chat {
namespace {

const Family kNemotron{.name = "nemotron-v2",
                       .rank = 180,
                       .marks = {{"<TOOLCALL>"}, {"<toolcall>"}},
                       .vocabulary = {{"<SPECIAL_10>", "<SPECIAL_11>"}},
                       .markup = {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
                                  .openers = {{"<TOOLCALL>", any_calls}, {"<toolcall>", any_calls}},
                                  .closers = {"</TOOLCALL>", "</toolcall>"}},
                       .stops = {"<SPECIAL_12>"}};
const RegisterFamily registered_nemotron(&kNemotron);

const Family kHunyuan{.name = "hunyuan",
                      .rank = 201,
                      .marks = {{"<tool_calls>", "<|extra_0|>"}, {"<tool_calls>", "hy_"}},
                      .vocabulary = {{"<|startoftext|>", "<|extra_0|>"}},
                      .markup = {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
                                 .openers = {{"<tool_calls>", any_calls}},
                                 .closers = {"</tool_calls>"},
                                 .wrappers = {{"<answer>", "</answer>"}, {"\u52A9\u624B\uFF1A"}}},
                      .stops = {"<|eos|>", "<\uFF5Chy_place\u2581holder\u2581no\u25812\uFF5C>"}};
const RegisterFamily registered_hunyuan(&kHunyuan);

const Family kApriel{
    .name = "apriel",
    .rank = 202,
    .marks = {{"<tool_calls>"}},
    .markup = {
        .thinking = {{.opens = "<thinking>", .closes = "</thinking>"},
                     // Reasoning is what stands before the final response.
                     {.opens = "Here are my reasoning steps:", .closes = "[BEGIN FINAL RESPONSE]", .implied = true}},
        .openers = {{"<tool_calls>", any_calls}},
        .closers = {"</tool_calls>"},
        .dropped = {"[END FINAL RESPONSE]"}}};
const RegisterFamily registered_apriel(&kApriel);

const Family kOlmo{
    .name = "olmo3",
    .rank = 210,
    .marks = {{"<function_calls>"}},
    .ollama_parsers = {"olmo3", "olmo3-think"},
    .markup = {.openers = {{"<function_calls>", any_calls_or_python}}, .closers = {"</function_calls>"}}};
const RegisterFamily registered_olmo(&kOlmo);

const Family kFirefunction{
    .name = "firefunction",
    .rank = 231,
    .marks = {{"functools["}},
    .markup = {.openers = {{"functools", any_calls, Opener::Where::kIfOffered}}, .bare = any_calls}};
const RegisterFamily registered_firefunction(&kFirefunction);

const Family kPhi4Mini{
    .name = "phi4-mini",
    .rank = 232,
    .marks = {{"<|tool|>"}, {"<|/tool_call|>"}},
    .markup = {.openers = {{"<|tool_call|>", any_calls}, {"functools", any_calls, Opener::Where::kIfOffered}},
               .closers = {"<|/tool_call|>"},
               .bare = any_calls}};
const RegisterFamily registered_phi(&kPhi4Mini);

// Calls are bare, or in another family's marks, whatever template the base model has: chosen by name.
const Family kXlam{.name = "xlam",
                   .rank = 1000,
                   .markup = {.openers = {{"<tool_call>", any_calls},
                                          {"[TOOL_CALLS]", any_calls},
                                          {"```json", any_calls, Opener::Where::kIfWhole}},
                              .closers = {"</tool_call>", "```"},
                              .bare = any_calls}};
const RegisterFamily registered_xlam(&kXlam);

}  // namespace
}  // namespace hearth::chat
