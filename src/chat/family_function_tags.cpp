// Calls as <function=F> with <parameter=K> tags: Qwen3-Coder, Qwen3.5, Nemotron 3, Step 3.5 and MiMo V2 inside
// <tool_call>, whose opening tag they forget; ByteDance's Seed-OSS inside <seed:tool_call>.
#include "chat/any_calls.h"
#include "chat/family.h"
#include "chat/tagged.h"

namespace hearth::chat {
namespace {

TaggedForm form(std::string_view section_closes, bool strips) {
  return {.name_ends = {">"},
          .key_opens = "<parameter=",
          .key_ends = ">",
          .value_closes = "</parameter>",
          .closes = "</function>",
          .section_closes = {section_closes},
          .strips = strips};
}
const TaggedForm kQwenForm = form("</tool_call>", true), kSeedForm = form("</seed:tool_call>", false);

template <const TaggedForm& kForm>
Opener opener(Opener::Where where) {
  return {"<function=",
          [](const Markers& m) -> std::unique_ptr<CallReader> { return std::make_unique<Tagged>(kForm, m); }, where};
}

const Family kQwenXml{.name = "qwen-xml",
                      .rank = 170,
                      .marks = {{"<tool_call>", "<function=", "<parameter="}},
                      .ollama_parsers = {"qwen3-coder", "qwen3.5", "nemotron-3-nano", "nemotron-3.5-nano"},
                      .markup = {.sections = {"<tool_call>"},
                                 .openers = {opener<kQwenForm>(Opener::Where::kIfWhole)},
                                 .closers = {"</tool_call>", "</function>"},
                                 .dropped = {"</tool_call>"},
                                 .section_body = any_calls}};
const RegisterFamily qwen_registered(&kQwenXml);

const Family kSeedOss{.name = "seed-oss",
                      .rank = 160,
                      .marks = {{"<seed:tool_call>"}},
                      .vocabulary = {{"<seed:bos>"}},
                      .markup = {.thinking = {{.opens = "<seed:think>", .closes = "</seed:think>", .always = true}},
                                 .sections = {"<seed:tool_call>"},
                                 .openers = {opener<kSeedForm>(Opener::Where::kInSection)},
                                 .closers = {"</seed:tool_call>", "</function>"},
                                 .section_body = any_calls},
                      .stops = {"<seed:eos>"}};
const RegisterFamily seed_registered(&kSeedOss);

}  // namespace
}  // namespace hearth::chat
