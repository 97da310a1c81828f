// FunctionGemma and Gemma 4. Gemma 2 and 3 have no calls of their own (family_plain.cpp).
#include "chat/family.h"
#include "chat/gemma_calls.h"

namespace hearth::chat {
namespace {

const LooseForm kEscape{.quotes = {"<escape>", "\""}};
const LooseForm kQuote{.quotes = {"<|\"|>", "\""}};

const Family kFunctionGemma{.name = "functiongemma",
                            .rank = 112,
                            .marks = {{"<start_function_call>"}},
                            .vocabulary = {{"<start_function_call>"}},
                            .ollama_parsers = {"functiongemma"},
                            .markup = {.openers = {{"<start_function_call>call:",
                                                    [](const Markers& m) -> std::unique_ptr<CallReader> {
                                                      return std::make_unique<GemmaCalls>(kEscape, m);
                                                    }}},
                                       .closers = {"<end_function_call>"}},
                            .stops = {"<start_function_response>"}};
const RegisterFamily registered_function(&kFunctionGemma);

const Family kGemma4{
    .name = "gemma4",
    .rank = 111,
    .marks = {{"<|tool_call>call:"}, {"<|turn>", "<|tool_call>"}},
    .vocabulary = {{"<|turn>"}},
    .ollama_parsers = {"gemma4", "gemma4-no-thinking"},
    .markup = {.thinking = {{.opens = "<|channel>thought", .closes = "<channel|>", .reopens = true, .always = true}},
               .openers = {{"<|tool_call>call:",
                            [](const Markers& m) -> std::unique_ptr<CallReader> {
                              return std::make_unique<GemmaCalls>(kQuote, m);
                            }}},
               .closers = {"<tool_call|>"},
               .dropped = {"<tool_call|>", "<channel|>", "<|channel>"}},
    .stops = {"<turn|>", "<|tool_response>"}};
const RegisterFamily registered_4(&kGemma4);

}  // namespace
}  // namespace hearth::chat
