// Families without calls of their own: only their turns have marks. Where those are ordinary text, the next turn's
// header stops an answer.
#include "chat/family.h"

namespace hearth::chat {
namespace {

const Family kPlain{.name = "plain", .rank = 2000, .ollama_parsers = {"passthrough"}};
const Family kPhi4{.name = "phi4",
                   .rank = 310,
                   .marks = {{"<|im_start|>", "<|im_sep|>"}},
                   .vocabulary = {{"<|im_start|>", "<|im_sep|>"}}};
const Family kChatml{.name = "chatml", .rank = 320, .marks = {{"<|im_start|>"}}, .vocabulary = {{"<|im_start|>"}}};
const Family kLlama30{.name = "llama3.0", .rank = 330, .marks = {{"<|start_header_id|>"}}};
const Family kGemma{.name = "gemma", .rank = 340, .marks = {{"<start_of_turn>"}}, .vocabulary = {{"<start_of_turn>"}}};
const Family kDeepSeek{.name = "deepseek-chat", .rank = 350, .marks = {{"<\uFF5CUser\uFF5C>"}}};
const Family kCommand{.name = "command",
                      .rank = 355,
                      .marks = {{"<|START_OF_TURN_TOKEN|>"}},
                      .vocabulary = {{"<|START_OF_TURN_TOKEN|>"}},
                      .stops = {"<|END_OF_TURN_TOKEN|>"}};
const Family kExaone{.name = "exaone",
                     .rank = 360,
                     .marks = {{"[|assistant|]"}},
                     .vocabulary = {{"[|assistant|]"}},
                     .stops = {"[|endofturn|]"}};
const Family kGlm4{.name = "glm4",
                   .rank = 365,
                   .marks = {{"[gMASK]"}},
                   .vocabulary = {{"[gMASK]"}},
                   .stops = {"<|user|>", "<|observation|>"}};
const Family kPhi3{.name = "phi3",
                   .rank = 370,
                   .marks = {{"<|assistant|>", "<|end|>"}, {"<|user|>", "<|end|>"}},
                   .vocabulary = {{"<|assistant|>", "<|end|>"}}};
const Family kZephyr{.name = "zephyr", .rank = 380, .marks = {{"<|user|>"}}, .stop_strings = {"<|user|>"}};
const Family kDeepSeekCoder{.name = "deepseek-coder",
                            .rank = 390,
                            .marks = {{"### Instruction:", "<|EOT|>"}},
                            .stops = {"<|EOT|>"},
                            .stop_strings = {"### Instruction:"}};
const Family kAlpaca{
    .name = "alpaca", .rank = 400, .marks = {{"### Instruction:"}}, .stop_strings = {"### Instruction:"}};
const Family kVicuna{.name = "vicuna", .rank = 410, .marks = {{"USER:", "ASSISTANT:"}}, .stop_strings = {"USER:"}};
const Family kOpenChat{.name = "openchat", .rank = 420, .marks = {{"GPT4 Correct"}}, .stops = {"<|end_of_turn|>"}};
const Family kLlama2{.name = "llama2", .rank = 430, .marks = {{"[INST]"}}};
const RegisterFamily registered[] = {
    RegisterFamily(&kPlain),  RegisterFamily(&kPhi4),     RegisterFamily(&kChatml),   RegisterFamily(&kLlama30),
    RegisterFamily(&kGemma),  RegisterFamily(&kDeepSeek), RegisterFamily(&kCommand),  RegisterFamily(&kExaone),
    RegisterFamily(&kGlm4),   RegisterFamily(&kPhi3),     RegisterFamily(&kZephyr),   RegisterFamily(&kDeepSeekCoder),
    RegisterFamily(&kAlpaca), RegisterFamily(&kVicuna),   RegisterFamily(&kOpenChat), RegisterFamily(&kLlama2)};

}  // namespace
}  // namespace hearth::chat
