// OpenAI gpt-oss: see harmony_parser.h.
#include "chat/family.h"

namespace hearth::chat {
namespace {

const Family kGptOss{.name = "gpt-oss",
                     .rank = 20,
                     .marks = {{"<|channel|>"}},
                     .vocabulary = {{"<|start|>", "<|channel|>"}},
                     .stops = {"<|return|>", "<|call|>"},
                     .harmony = true};
const RegisterFamily registered(&kGptOss);

}  // namespace
}  // namespace hearth::chat
