// GLM 4.5 and later: <tool_call>NAME with <arg_key> and <arg_value>.
#include "chat/family.h"
#include "chat/tagged.h"

namespace hearth::chat {
namespace {

const TaggedForm kForm{.name_ends = {"\n", "<arg_key>", "</tool_call>"},
                       .bare_name = true,
                       .key_opens = "<arg_key>",
                       .key_ends = "</arg_key>",
                       .value_opens = "<arg_value>",
                       .value_closes = "</arg_value>",
                       .closes = "</tool_call>"};

const Family kGlm{.name = "glm",
                  .rank = 150,
                  .marks = {{"<arg_key>", "<arg_value>"}},
                  .vocabulary = {{"[gMASK]", "<arg_key>"}},
                  .ollama_parsers = {"glm-4.7", "glm-ocr", "laguna", "poolside-v1"},
                  .markup = {.thinking = {{.opens = "<think>", .closes = "</think>", .always = true}},
                             .openers = {{"<tool_call>",
                                          [](const Markers& m) -> std::unique_ptr<CallReader> {
                                            return std::make_unique<Tagged>(kForm, m);
                                          }}},
                             .closers = {"</tool_call>"}},
                  .stops = {"<|user|>", "<|observation|>"}};
const RegisterFamily registered(&kGlm);

}  // namespace
}  // namespace hearth::chat
