// DeepSeek R1, V3, their distills, and V3.1. Models misspell the markers of sections.
#include "chat/family.h"
#include "chat/named_json.h"

namespace hearth::chat {
namespace {

const NamedJsonForm kForm{.name_ends = {"<\uFF5Ctool\u2581sep\uFF5C>"}, .kind_first = true};

Markup markup(bool reasons) {
  return {.thinking = {{.opens = "<think>", .closes = "</think>", .implied = reasons}},
          .sections = {"<\uFF5Ctool\u2581calls\u2581begin\uFF5C>", "<\uFF5Ctool_calls_begin\uFF5C>",
                       "<\uFF5Ctool calls begin\uFF5C>", "<\uFF5Ctool\u2581calls\uFF5C>",
                       "<\uFF5Ctool\\_calls\\_begin\uFF5C>"},
          .openers = {{"<\uFF5Ctool\u2581call\u2581begin\uFF5C>",
                       [](const Markers& m) -> std::unique_ptr<CallReader> {
                         return std::make_unique<NamedJson>(kForm, m);
                       }}},
          .closers = {"```", "<\uFF5Ctool\u2581call\u2581end\uFF5C>", "<\uFF5Ctool\u2581calls\u2581end\uFF5C>"}};
}

// Reasons, whether or not the answer begins with the opening marker.
const Family kR1{.name = "deepseek-r1",
                 .rank = 121,
                 .marks = {{"<\uFF5Ctool\u2581calls\u2581begin\uFF5C>", "```json", "</think>"}},
                 .markup = markup(true)};
const Family kV3{.name = "deepseek-v3",
                 .rank = 122,
                 .marks = {{"<\uFF5Ctool\u2581calls\u2581begin\uFF5C>", "```json"}},
                 .ollama_parsers = {"cogito"},
                 .markup = markup(false)};
const Family kV31{.name = "deepseek-v3.1",
                  .rank = 123,
                  .marks = {{"<\uFF5Ctool\u2581calls\u2581begin\uFF5C>"}},
                  .vocabulary = {{"<\uFF5CUser\uFF5C>"}},
                  .ollama_parsers = {"deepseek3"},
                  .markup = markup(false)};
const RegisterFamily registered_r1(&kR1);
const RegisterFamily registered_v3(&kV3);
const RegisterFamily registered_v31(&kV31);

}  // namespace
}  // namespace hearth::chat
