// The interactive chat.
#pragma once

#include "base/result.h"
#include "cli/chat_partner.h"

namespace hearth::cli {

// Until /bye or Ctrl-D. Needs a terminal as standard input.
Status chat(std::unique_ptr<ChatPartner> partner);

}  // namespace hearth::cli
