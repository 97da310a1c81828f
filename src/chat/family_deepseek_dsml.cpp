// DeepSeek V3.2 and V4: calls in tags whose names begin with a special token. The template may build them from parts.
#include "chat/any_calls.h"
#include "chat/family.h"
#include "chat/tagged.h"

namespace hearth::chat {
namespace {

#define DSML "\uFF5CDSML\uFF5C"

const TaggedForm kForm{.name_ends = {">"},
                       .key_opens = "<" DSML "parameter name=\"",
                       .key_ends = ">",
                       .value_closes = "</" DSML "parameter>",
                       .closes = "</" DSML "invoke>",
                       .section_closes = {"</" DSML "function_calls>", "</" DSML "tool_calls>"},
                       .says_type = true};

Family family(const char* name, int rank, std::string_view section_name, std::string_view opens,
              std::string_view closes) {
  return {.name = name,
          .rank = rank,
          .marks = {{"DSML", section_name}},
          .markup = {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
                     .sections = {opens},
                     .openers = {{"<" DSML "invoke name=\"",
                                  [](const Markers& m) -> std::unique_ptr<CallReader> {
                                    return std::make_unique<Tagged>(kForm, m);
                                  },
                                  Opener::Where::kInSection}},
                     .closers = {closes, "</" DSML "invoke>"},
                     .section_body = any_calls}};
}

const Family kV32 =
    family("deepseek-v3.2", 101, "function_calls", "<" DSML "function_calls>", "</" DSML "function_calls>");
const Family kV4 = family("deepseek-v4", 102, "tool_calls", "<" DSML "tool_calls>", "</" DSML "tool_calls>");
const RegisterFamily registered_v32(&kV32);
const RegisterFamily registered_v4(&kV4);

}  // namespace
}  // namespace hearth::chat
