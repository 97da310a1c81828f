// The answers of gpt-oss: messages with headers that say where each goes.
//   <|start|>ROLE[ to=RECIPIENT][<|channel|>CHANNEL][ to=RECIPIENT][ <|constrain|>TYPE]<|message|>BODY<|end|>
// Format: https://github.com/openai/harmony/blob/main/docs/format.md
#pragma once

#include <string>

#include "chat/arguments.h"
#include "chat/protocol.h"

namespace hearth::chat {

class HarmonyParser : public Protocol {
 public:
  // `prompt_end`: the end of the prompt; what follows its last <|start|> is the beginning of the first header.
  HarmonyParser(std::string_view prompt_end, const Context& context);
  void read(Input& in) override;

 private:
  enum class At { kHeader, kContent, kReasoning, kCall, kIgnored };
  enum Mark { kStart, kChannel, kMessage, kConstrain, kEnd, kReturn, kCallEnd };

  bool step(Input& in);
  bool header(Input& in);
  bool body(Input& in);
  bool call(Input& in);
  void meet(int mark);
  void begin_header(bool named);
  void begin_body();
  void end_header_without_body();
  TextChannel& channel() { return at_ == At::kReasoning ? reasoning_ : content_; }

  const Context context_;
  TextChannel content_, reasoning_;
  Calls calls_;
  Literals marks_;
  At at_ = At::kHeader;
  bool named_ = false;               // the header begins with a role
  bool in_channel_ = false;          // ... and has come to the channel
  std::string role_, channel_text_;  // the header before and behind <|channel|>
  ArgumentsReader arguments_;
  size_t body_begin_ = 0;
};

}  // namespace hearth::chat
