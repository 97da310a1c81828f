// GigaChat 3 and 3.1: a call is a message of its own.
#include "chat/any_calls.h"
#include "chat/family.h"

namespace hearth::chat {
namespace {

const Family kGigaChat{.name = "gigachat",
                       .rank = 80,
                       .marks = {{"<|role_sep|>", "<|message_sep|>"}},
                       .vocabulary = {{"<|role_sep|>", "<|message_sep|>"}},
                       .markup = {.openers = {{"<|message_sep|>\n\nfunction call<|role_sep|>\n", any_calls},
                                              {"function call<|role_sep|>\n", any_calls},
                                              {"<|function_call|>", any_calls}},
                                  .dropped = {"<|message_sep|>"}}};
const RegisterFamily registered(&kGigaChat);

}  // namespace
}  // namespace hearth::chat
