// Cohere's Command R, R7B and A, and Cohere2 MoE.
#include "chat/any_calls.h"
#include "chat/family.h"

namespace hearth::chat {
namespace {

// "directly_answer" is the model's way of saying that it calls nothing.
std::unique_ptr<CallReader> action(const Markers& markers) {
  return std::make_unique<AnyCalls>(markers, JsonForm{.no_call = "directly_answer"});
}

const Family kCommandR{.name = "command-r",
                       .rank = 270,
                       .marks = {{"<|CHATBOT_TOKEN|>", "Action:"}},
                       .markup = {.openers = {{"Action:", action}}, .closers = {"```"}},
                       .stops = {"<|END_OF_TURN_TOKEN|>"}};
const RegisterFamily registered_r(&kCommandR);

Family family(const char* name, int rank, std::vector<std::string_view> marks,
              std::vector<std::vector<std::string_view>> vocabulary) {
  return {.name = name,
          .rank = rank,
          .marks = {std::move(marks)},
          .vocabulary = std::move(vocabulary),
          .markup = {.thinking = {{.opens = "<|START_THINKING|>", .closes = "<|END_THINKING|>", .always = true}},
                     .openers = {{"<|START_ACTION|>", action}},
                     .closers = {"<|END_ACTION|>"},
                     .wrappers = {{"<|START_RESPONSE|>", "<|END_RESPONSE|>"}, {"<|START_TEXT|>", "<|END_TEXT|>"}}},
          .stops = {"<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>"}};
}

const Family kMoe = [] {
  Family moe = family("cohere2-moe", 51, {"<|START_ACTION|>", "<|START_TEXT|>"}, {});
  moe.ollama_parsers = {"cohere"};
  return moe;
}();
const Family kCommandA =
    family("command-a", 52, {"<|START_ACTION|>"}, {{"<|START_OF_TURN_TOKEN|>", "<|START_ACTION|>"}});
const RegisterFamily registered_moe(&kMoe);
const RegisterFamily registered_a(&kCommandA);

}  // namespace
}  // namespace hearth::chat
