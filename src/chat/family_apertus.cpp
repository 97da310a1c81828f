// Apertus: a call is an object with the tool's name as its key, and may stand inside the reasoning.
#include "chat/any_calls.h"
#include "chat/family.h"

namespace hearth::chat {
namespace {

const Family kApertus{.name = "apertus",
                      .rank = 190,
                      .marks = {{"<|tools_prefix|>"}},
                      .vocabulary = {{"<|tools_prefix|>"}},
                      .markup = {.thinking = {{.opens = "<|inner_prefix|>",
                                               .closes = "<|inner_suffix|>",
                                               .reopens = true,
                                               .holds_calls = true,
                                               .always = true}},
                                 .openers = {{"<|tools_prefix|>",
                                              [](const Markers& m) -> std::unique_ptr<CallReader> {
                                                return std::make_unique<AnyCalls>(m, JsonForm{.name_is_key = true});
                                              }}},
                                 .closers = {"<|tools_suffix|>"}},
                      .stops = {"<|assistant_end|>"}};
const RegisterFamily registered(&kApertus);

}  // namespace
}  // namespace hearth::chat
