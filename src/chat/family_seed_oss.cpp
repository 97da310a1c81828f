// ByteDance Seed-OSS.
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
                       .section_closes = {"</seed:tool_call>"}};

const Family kSeedOss{.name = "seed-oss",
                      .rank = 160,
                      .marks = {{"<seed:tool_call>"}},
                      .vocabulary = {{"<seed:bos>"}},
                      .markup = {.thinking = {{.opens = "<seed:think>", .closes = "</seed:think>", .always = true}},
                                 .sections = {"<seed:tool_call>"},
                                 .openers = {{"<function=",
                                              [](const Markers& m) -> std::unique_ptr<CallReader> {
                                                return std::make_unique<Tagged>(kForm, m);
                                              },
                                              Opener::Where::kInSection}},
                                 .closers = {"</seed:tool_call>", "</function>"},
                                 .section_body = any_calls},
                      .stops = {"<seed:eos>"}};
const RegisterFamily registered(&kSeedOss);

}  // namespace
}  // namespace hearth::chat
