// One turn of a conversation: the model's answer, shown as it comes, and the tools that it calls on the way.
#pragma once

#include "cli/session.h"

namespace hearth::cli {

// Answers the conversation's last message and adds what was said to it. The answer goes to standard output, the
// thinking before it to standard error, if standard output is a terminal and it is not hidden. Calls of tools are
// printed, one JSON object a line, unless a command runs them: then their results are added and the model goes on, up
// to kMaxToolRounds times. Errors: those of Conversation::prompt() and generate(); the conversation is then as it was.
Status answer(Session& session, chat::Conversation& conversation);

inline constexpr int kMaxToolRounds = 25;

}  // namespace hearth::cli
