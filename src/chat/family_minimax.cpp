// MiniMax M2 and M3: M3 writes its own token before every tag, and values in tags that are named after them.
#include "chat/any_calls.h"
#include "chat/family.h"
#include "chat/tagged.h"

namespace hearth::chat {
namespace {

#define M3 "]<]minimax[>["

const TaggedForm kM2Form{.name_ends = {">"},
                         .key_opens = "<parameter name=\"",
                         .key_ends = ">",
                         .value_closes = "</parameter>",
                         .closes = "</invoke>",
                         .section_closes = {"</minimax:tool_call>"}};
const TaggedForm kM3Form{.name_ends = {">"},
                         .key_opens = M3 "<",
                         .key_ends = ">",
                         .value_closes = {},
                         .value_closes_named = M3 "</",
                         .closes = M3 "</invoke>",
                         .section_closes = {M3 "</tool_call>"}};

const Family kM2{.name = "minimax-m2",
                 .rank = 92,
                 .marks = {{"]~b]"}, {"<minimax:tool_call>"}},
                 .vocabulary = {{"]~b]"}},
                 .markup = {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
                            .sections = {"<minimax:tool_call>"},
                            .openers = {{"<invoke name=\"",
                                         [](const Markers& m) -> std::unique_ptr<CallReader> {
                                           return std::make_unique<Tagged>(kM2Form, m);
                                         },
                                         Opener::Where::kInSection}},
                            .closers = {"</minimax:tool_call>", "</invoke>"},
                            .section_body = any_calls},
                 .stops = {"[e~["}};
const RegisterFamily registered_m2(&kM2);

const Family kM3{.name = "minimax-m3",
                 .rank = 91,
                 .marks = {{M3}},
                 .markup = {.thinking = {{.opens = "<mm:think>", .closes = "</mm:think>", .always = true}},
                            .sections = {M3 "<tool_call>"},
                            .openers = {{M3 "<invoke name=\"",
                                         [](const Markers& m) -> std::unique_ptr<CallReader> {
                                           return std::make_unique<Tagged>(kM3Form, m);
                                         },
                                         Opener::Where::kInSection}},
                            .closers = {M3 "</tool_call>", M3 "</invoke>"},
                            .section_body = any_calls},
                 .stops = {"[e~["}};
const RegisterFamily registered_m3(&kM3);

}  // namespace
}  // namespace hearth::chat
