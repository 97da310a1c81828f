#include "chat/thinking_choice.h"

#include <fmt/format.h>

namespace hearth::chat {

std::string thinking_variables(Think think) {
  const auto level = [](std::string_view name) {
    return fmt::format(R"("enable_thinking":true,"thinking":true,"reasoning_effort":"{0}","think":"{0}")", name);
  };
  switch (think) {
    case Think::kDefault:
      return {};
    case Think::kOff:
      return R"("enable_thinking":false,"thinking":false,"thinking_budget":0,"think":false)";
    case Think::kOn:
      return R"("enable_thinking":true,"thinking":true,"think":true)";
    case Think::kLow:
      return level("low");
    case Think::kMedium:
      return level("medium");
    case Think::kHigh:
      return level("high");
  }
  return {};
}

}  // namespace hearth::chat
